import { authorName, categories, client, may, members } from "../api.js";
import { field, form, h, paged, select, table } from "../dom.js";
import { language, t, time } from "../i18n.js";
import { go, link } from "../router.js";
import { languageName, languages, stateName, states } from "../words.js";

/** Return the name of a category in the console's language. */
export const categoryName = (items, slug) => items.find((item) => item.slug === slug)?.name[language] ?? slug;

export async function postsPage(_, query) {
  const given = (name) => query.get(name) ?? "";
  const page = (cursor) =>
    client.get("/v1/editor/posts", {
      query: { state: given("state") || null, category: given("category") || null, lang: given("lang") || null, cursor },
    }).then(({ data }) => data);
  const [items, names, first] = await Promise.all([categories(), members(), page()]);
  const state = select([["", t("All states")], ...states()], given("state"));
  const category = select([["", t("All categories")], ...items.map((item) => [item.slug, item.name[language]])], given("category"));
  const lang = select([["", t("All languages")], ...languages()], given("lang"));
  const filters = form(
    () => go(`/posts?${new URLSearchParams([["state", state.value], ["category", category.value], ["lang", lang.value]].filter(([, v]) => v))}`),
    h("div", { class: "filters" }, field(t("State"), "state", state), field(t("Category"), "category", category), field(t("Language"), "lang", lang)),
  );
  for (const input of [state, category, lang]) input.addEventListener("change", () => filters.requestSubmit());
  const heads = [t("Title"), t("State"), t("Category"), t("Language"), t("Author"), t("Changed")];
  const row = (post) => [
    link(`/posts/${post.id}`, post.title),
    h("span", {}, badge(post), post.state === "scheduled" && h("small", {}, ` ${time(post.scheduledAt)}`)),
    categoryName(items, post.category),
    languageName(post.lang),
    authorName(names, post.createdBy),
    time(post.updatedAt),
  ];
  return [
    h("div", { class: "bar" }, filters, may("post:create") && h("a", { class: "button primary", href: "/console/posts/new" }, t("New post"))),
    await paged(page, (found) => table(t("Posts"), heads, found.map(row), t("There are no such posts.")), first),
  ];
}

/** Show a post's state, and whether its newest revision is what visitors read. */
export function badge(post) {
  const behind = post.state === "published" && post.publishedRevision !== post.revision;
  return [h("span", { class: `badge ${post.state}` }, stateName(post.state)), behind && h("span", { class: "badge" }, t("Unpublished changes"))];
}
