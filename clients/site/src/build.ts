// Writes the site to `dist`: each page of what the API has now, in both languages.
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, Problem } from "@familycorp/client";
import { html } from "./html.js";
import { API_URL, FILES_URL, MEDIA_URL, SITE_URL } from "./settings.js";
import { type Language, other, type Page, type Post, type Site, tagPath, tagSlug } from "./site.js";
import { inquiry } from "./templates/inquiry.js";
import { layout } from "./templates/layout.js";
import { list } from "./templates/list.js";
import { missing } from "./templates/missing.js";
import { post } from "./templates/post.js";
import { preview } from "./templates/preview.js";
import { search } from "./templates/search.js";
import { TEXTS } from "./texts.js";

/** Pages that each language has once. Add a page of your own here. */
const PAGES: ((site: Site, lang: Language) => Page)[] = [search, inquiry, preview, missing];

const DIST = new URL("../dist/", import.meta.url);
const client = new Client({ baseUrl: API_URL });

/** Send a request again where the API asks to wait: a large site exceeds the rate limit of one address. */
async function patiently<T>(request: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof Problem) || !error.retryAfter) throw error;
      await sleep(error.retryAfter * 1000);
    }
  }
}

async function readPosts(lang: Language): Promise<Post[]> {
  const posts: Post[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const query = { lang, limit: 100, ...(cursor && { cursor }) };
    const { data } = await patiently(() => client.get("/v1/posts", { query }));
    for (const { id } of data.items) {
      posts.push((await patiently(() => client.get("/v1/posts/{id_or_slug}", { path: { id_or_slug: id } }))).data);
    }
    cursor = data.nextCursor;
  }
  return posts;
}

/** All pages of a language. */
function pagesOf(site: Site, lang: Language, posts: readonly Post[]): Page[] {
  const home = list(site, lang, `/${lang}`, TEXTS[lang].news, posts, `/${other(lang)}`);
  const categories = site.categories.flatMap(({ slug, name }) => {
    const path = (of: Language) => `/${of}/categories/${slug}`;
    return list(site, lang, path(lang), name[lang], posts.filter((p) => p.category === slug), path(other(lang)));
  });
  const tags = new Map(posts.flatMap((p) => p.tags).map((tag) => [tagSlug(tag), tag]));
  const tagged = [...tags].filter(([slug]) => slug).flatMap(([slug, tag]) => {
    const having = posts.filter((p) => p.tags.some((t) => tagSlug(t) === slug));
    return list(site, lang, tagPath(lang, tag), TEXTS[lang].tagged(tag), having);
  });
  return [...home, ...categories, ...tagged, ...posts.map((p) => post(site, p)), ...PAGES.map((page) => page(site, lang))];
}

function sitemap(pages: readonly Page[]): string {
  const urls = pages.filter(({ noindex }) => !noindex).map(({ lang, path, translation }) => html`
  <url><loc>${SITE_URL}${path}</loc>${translation && html`
    <xhtml:link rel="alternate" hreflang="${lang}" href="${SITE_URL}${path}"/>
    <xhtml:link rel="alternate" hreflang="${other(lang)}" href="${SITE_URL}${translation}"/>`}</url>`);
  return html`<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:xhtml="http://www.w3.org/1999/xhtml">${urls}
</urlset>
`.text;
}

async function write(path: string, text: string): Promise<void> {
  const file = new URL(`.${path}`, DIST);
  await mkdir(new URL(".", file), { recursive: true });
  await writeFile(file, text);
}

const [categories, inquiries, korean, english] = await Promise.all([
  client.get("/v1/categories"),
  client.get("/v1/inquiries/categories"),
  readPosts("ko"),
  readPosts("en"),
]);
const site: Site = {
  apiUrl: API_URL,
  siteUrl: SITE_URL,
  filesUrl: FILES_URL,
  mediaUrl: MEDIA_URL,
  categories: categories.data.items,
  inquiries: inquiries.data,
};
const pages = [...pagesOf(site, "ko", korean), ...pagesOf(site, "en", english)];

await rm(DIST, { recursive: true, force: true });
for (const page of pages) await write(`${page.path}.html`, layout(site, page).text);
// Hosts of static sites serve these two: the home page, and what stands for a missing one.
await cp(new URL("ko.html", DIST), new URL("index.html", DIST));
await cp(new URL("ko/404.html", DIST), new URL("404.html", DIST));
await write("/sitemap.xml", sitemap(pages));
await write("/robots.txt", `User-agent: *\nAllow: /\nSitemap: ${SITE_URL}/sitemap.xml\n`);
await cp(new URL("../public/", import.meta.url), DIST, { recursive: true });
// The browser gets the modules as the compiler writes them; those that it doesn't import do no harm.
await cp(new URL(".", import.meta.url), new URL("scripts/", DIST), { recursive: true });
await cp(new URL(".", import.meta.resolve("@familycorp/client")), new URL("scripts/client/", DIST), { recursive: true });
console.log(`${pages.length} pages of ${API_URL} are in clients/site/dist.`);
