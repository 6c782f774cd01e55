import { authorName, caller, categories, client, may, members } from "../api.js";
import { field, form, h, paged, select, table } from "../dom.js";
import { dayStart, language, t, time } from "../i18n.js";
import { go, link } from "../router.js";
import { languageName, languages, stateName, states } from "../words.js";

/** Return the name of a category in the console's language. */
export const categoryName = (items, slug) => items.find((item) => item.slug === slug)?.name[language] ?? slug;

const SORTS = {
  "-created": "Newest first",
  created: "Oldest first",
  "-updated": "Changed last first",
  "-published": "Published last first",
  published: "Published first first",
};
const DATES = { updated: "Changed", created: "Written", published: "First published" };
/** What the address of the list may say, which the API takes as it is. */
const GIVEN = ["q", "state", "category", "lang", "author", "tag", "date", "sort"];

export async function postsPage(_, query) {
  const given = (name) => query.get(name) ?? "";
  const asked = Object.fromEntries(GIVEN.map((name) => [name, given(name) || null]));
  // Days are Korea's, the last one included.
  const [since, until] = [given("since") && dayStart(given("since")), given("until") && dayStart(given("until"), 1)];
  const page = (cursor) =>
    client.get("/v1/editor/posts", { query: { ...asked, since: since || null, until: until || null, cursor } }).then(({ data }) => data);
  const [items, names, first] = await Promise.all([categories(), members(), page()]);
  const heads = [t("Title"), t("State"), t("Category"), t("Language"), t("Author"), t("Changed")];
  const row = (post) => [
    link(`/posts/${post.id}`, post.title),
    h("span", {}, badge(post), h("small", {}, plans(post).map((plan) => [" ", plan]))),
    categoryName(items, post.category),
    languageName(post.lang),
    authorName(names, post.createdBy),
    time(post.updatedAt),
  ];
  return [
    h("div", { class: "bar" }, filters(given, items, names), may("post:create") && h("a", { class: "button primary", href: "/console/posts/new" }, t("New post"))),
    await paged(page, (found) => table(t("Posts"), heads, found.map(row), t("There are no such posts.")), first),
  ];
}

/** Make the form above the list; what it has is in the address, so that a search can be kept and sent. */
function filters(given, items, names) {
  const people = [...names].filter(([id, name]) => name && id !== caller.me.id);
  const controls = {
    q: h("input", { type: "search", value: given("q"), maxlength: "100" }),
    state: select([["", t("All states")], ...states()], given("state")),
    category: select([["", t("All categories")], ...items.map((item) => [item.slug, item.name[language]])], given("category")),
    lang: select([["", t("All languages")], ...languages()], given("lang")),
    author: select([["", t("All authors")], [caller.me.id, t("I")], ["import", t("Import")], ...people], given("author")),
    tag: h("input", { value: given("tag"), maxlength: "50" }),
    date: select(Object.entries(DATES).map(([key, text]) => [key, t(text)]), given("date") || "updated"),
    since: h("input", { type: "date", value: given("since") }),
    until: h("input", { type: "date", value: given("until") }),
    sort: select(Object.entries(SORTS).map(([key, text]) => [key, t(text)]), given("sort") || "-created"),
  };
  const values = () => Object.entries(controls).map(([name, { value }]) => [name, value.trim()]);
  const preset = { date: controls.since.value || controls.until.value ? "" : "updated", sort: "-created" };
  const made = form(
    () => go(`/posts?${new URLSearchParams(values().filter(([name, value]) => value && value !== preset[name]))}`),
    h(
      "div", { class: "filters" },
      field(t("Search in title, summary and text"), "q", controls.q),
      field(t("State"), "state", controls.state),
      field(t("Category"), "category", controls.category),
      field(t("Language"), "lang", controls.lang),
      field(t("Order"), "sort", controls.sort),
      h("button", {}, t("Search")),
    ),
    h(
      "details", { open: ["author", "tag", "since", "until"].some(given) },
      h("summary", {}, t("More filters")),
      h(
        "div", { class: "filters" },
        may("member:list") && field(t("Author"), "author", controls.author),
        field(t("Tag"), "tag", controls.tag),
        field(t("Date"), "date", controls.date),
        field(t("From day"), "since", controls.since),
        field(t("To day"), "until", controls.until),
      ),
    ),
  );
  for (const name of ["state", "category", "lang", "author", "sort"]) controls[name].addEventListener("change", () => made.requestSubmit());
  return made;
}

/** Show a post's state, and whether its newest revision is what visitors read. */
export function badge(post) {
  const behind = post.state === "published" && post.publishedRevision !== post.revision;
  return [h("span", { class: `badge ${post.state}` }, stateName(post.state)), behind && h("span", { class: "badge" }, t("Unpublished changes"))];
}

/** Say what is planned for a post. */
export function plans(post) {
  const { scheduledRevision: pinned, revision } = post;
  const values = { time: time(post.scheduledAt), number: pinned ?? revision };
  return [
    post.scheduledAt && (pinned && pinned !== revision ? t("Revision {number} will be published: {time}", values) : t("Will be published: {time}", values)),
    post.unpublishAt && t("Ends: {time}", { time: time(post.unpublishAt) }),
  ].filter(Boolean);
}
