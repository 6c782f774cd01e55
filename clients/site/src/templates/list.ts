import { html } from "../html.js";
import { type Card, day, type Language, type Page, postPath, type Site, tagPath, tagSlug } from "../site.js";
import { TEXTS } from "../texts.js";
import { pictureOf } from "./picture.js";

/** Posts as a list; what a search found has a snippet in the place of the excerpt. */
export const cards = (site: Pick<Site, "categories">, lang: Language, posts: readonly (Card & { snippet?: string })[]) => html`
<ul class="posts">${posts.map((post) => html`
  <li>${post.picture && html`
    <p class="figure">${pictureOf(post.picture, { sizes: "(min-width: 40rem) 12rem, 100vw", alt: "" })}</p>`}
    <h2><a href="${postPath(post)}">${post.title}</a></h2>
    <p class="meta">${meta(site, lang, post)}</p>
    <p>${post.snippet ?? post.excerpt}</p>
  </li>`)}
</ul>`;

/** Day and category of a post. */
export const meta = (site: Pick<Site, "categories">, lang: Language, post: Card) => {
  const category = site.categories.find(({ slug }) => slug === post.category);
  return html`<time datetime="${post.publishedAt}">${day(lang, post.publishedAt)}</time>${category && html`
    · <a href="/${lang}/categories/${category.slug}">${category.name[lang]}</a>`}`;
};

/** Tags of a post, each with a link to its list. */
export const tags = (lang: Language, names: readonly string[]) =>
  names.length > 0 && html`
<p class="tags">${TEXTS[lang].tag}: ${names.map((tag, i) => html`${i > 0 && ", "}${
    tagSlug(tag) ? html`<a href="${tagPath(lang, tag)}">${tag}</a>` : tag
  }`)}</p>`;

const POSTS_OF_A_PAGE = 10;

/** The pages of a list: `path`, `path/2`, `path/3`, … */
export function list(site: Site, lang: Language, path: string, title: string, posts: readonly Card[], translation?: string): Page[] {
  const texts = TEXTS[lang];
  const count = Math.max(1, Math.ceil(posts.length / POSTS_OF_A_PAGE));
  const at = (number: number) => (number === 1 ? path : `${path}/${number}`);
  return Array.from({ length: count }, (_, i) => i + 1).map((number) => ({
    lang,
    path: at(number),
    title: number === 1 ? title : `${title}, ${texts.page(number)}`,
    translation: number === 1 ? translation : undefined,
    main: html`
<h1>${title}</h1>
${posts.length === 0 && html`<p>${texts.noPosts}</p>`}
${cards(site, lang, posts.slice((number - 1) * POSTS_OF_A_PAGE, number * POSTS_OF_A_PAGE))}
${count > 1 && html`
<nav aria-label="${texts.pages}" class="pager">
  ${number > 1 && html`<a rel="prev" href="${at(number - 1)}">${texts.newer}</a>`}
  <span>${number} / ${count}</span>
  ${number < count && html`<a rel="next" href="${at(number + 1)}">${texts.older}</a>`}
</nav>`}`,
  }));
}
