import { caller, client, may, members } from "../api.js";
import { h, table } from "../dom.js";
import { day, number, t, time } from "../i18n.js";
import { unsaved } from "../local.js";
import { link } from "../router.js";

const MOST_VIEWED = 10;
const itemsOf = (path, query) => client.get(path, { query }).then(({ data }) => data.items);

export async function startPage() {
  if (!may("post:list")) return h("p", {}, t("You have no role yet. Ask an admin for one."));
  const [planned, drafts, inquiries, views, names] = await Promise.all([
    itemsOf("/v1/editor/calendar", { since: new Date().toISOString() }),
    itemsOf("/v1/editor/posts", { state: "draft", author: caller.me.id, sort: "-updated" }),
    may("inquiry:list") ? itemsOf("/v1/editor/inquiries", { status: "new", maxSpamScore: 49 }) : null,
    // Figures alone: without them the page is as useful.
    client.get("/v1/editor/views").then(({ data }) => data, () => null),
    members(),
  ]);
  const kept = unsaved().filter((id) => !id.includes(":"));
  const card = (title, rows, empty, heads) => h("section", { class: "card" }, h("h2", {}, title), table(title, heads, rows, empty));
  const post = (id, title) => link(`/posts/${id}`, title);
  return [
    may("post:create") && h("p", {}, h("a", { class: "button primary", href: "/console/posts/new" }, t("New post"))),
    kept.length > 0 && h("p", { class: "note status" }, t("Unsaved texts in this browser:"), kept.map((id) => [" ", link(`/posts/${id}`, id === "new" ? t("New post") : `…${id.slice(-6)}`)])),
    h(
      "div", { class: "cards" },
      card(t("Planned"), planned.map(({ step, at, postId, title }) => [post(postId, title), t(step === "publish" ? "Publication" : "End"), time(at)]), t("Nothing is planned."), [t("Title"), t("What"), t("When")]),
      card(t("My drafts"), drafts.map(({ id, title, updatedAt }) => [post(id, title), time(updatedAt)]), t("You have no drafts."), [t("Title"), t("Changed")]),
      inquiries && card(t("Unanswered inquiries"), inquiries.map((inquiry) => [link(`/inquiries/${inquiry.id}`, inquiry.subject), names.get(inquiry.assignee) ?? "–", time(inquiry.createdAt)]), t("Every inquiry is being answered."), [t("Subject"), t("Assignee"), t("Received")]),
      views && viewsCard(views, card, post),
    ),
  ];
}

function viewsCard({ since, until, items: viewed }, card, post) {
  const total = viewed.reduce((sum, { views }) => sum + views, 0);
  const made = card(t("Views of the week"), viewed.slice(0, MOST_VIEWED).map(({ postId, title, views }) => [post(postId, title), number(views)]), t("No views have been counted."), [t("Title"), t("Views")]);
  made.querySelector("h2").after(h("p", { class: "hint" }, t("{from} to {to}: {total} in all", { from: day(since), to: day(until), total: number(total) })));
  return made;
}
