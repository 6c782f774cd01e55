import { Html, html } from "../html.js";
import { type Page, type Post, postPath, type Site } from "../site.js";
import { TEXTS } from "../texts.js";
import { meta, tags } from "./list.js";
import { pictureOf } from "./picture.js";

const size = (bytes: number) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/** Title, text and attachments of a post; the API has sanitised its HTML. A preview's script finds its files itself. */
export const article = (site: Pick<Site, "apiUrl" | "categories">, post: Post, preview = false) => {
  const texts = TEXTS[post.lang];
  const file = (name: "src" | "href", id: string, variant = "") =>
    preview
      ? html`data-${name}="${id}"`
      : html`${name}="${site.apiUrl}/v1/posts/${post.id}/attachments/${id}${variant}"`;
  return html`
<article>
  <h1>${post.title}</h1>
  <p class="meta">${meta(site, post.lang, post)}</p>
  ${post.picture && !preview && html`<p class="figure">${pictureOf(post.picture, { sizes: "min(100vw, 44rem)", eager: true })}</p>`}
  ${post.thumbnail && (preview || !post.picture) && html`<p class="figure"><img ${file("src", post.thumbnail.id, "?variant=thumbnail.jpg")} alt=""></p>`}
  <div class="text">${new Html(post.html)}</div>
  ${tags(post.lang, post.tags)}
  ${post.attachments.length > 0 && html`
  <section aria-labelledby="attachments">
    <h2 id="attachments">${texts.attachments}</h2>
    <ul>${post.attachments.map(({ id, name, size: bytes }) => html`
      <li><a ${file("href", id)}>${name}</a> (${size(bytes)})</li>`)}
    </ul>
  </section>`}
</article>`;
};

export function post(site: Site, content: Post): Page {
  const translation = content.translations.find(({ lang }) => lang !== content.lang);
  return {
    lang: content.lang,
    path: postPath(content),
    title: content.title,
    description: content.metadata.description,
    canonical: content.metadata.canonicalUrl,
    noindex: content.metadata.noindex,
    translation: translation && postPath(translation),
    script: "post",
    head: html`
  <meta property="og:type" content="article">
  <meta property="article:published_time" content="${content.publishedAt}">
  <meta name="post" content="${content.id}">
  <script type="application/ld+json">${new Html(content.metadata.jsonLd)}</script>`,
    main: article(site, content),
  };
}
