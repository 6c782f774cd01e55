import { caller, client, may, members } from "../api.js";
import { h, table } from "../dom.js";
import { t, time } from "../i18n.js";
import { unsaved } from "../local.js";
import { link } from "../router.js";

const list = (state) => client.get("/v1/editor/posts", { query: { state, limit: 20 } }).then(({ data }) => data.items);

export async function startPage() {
  if (!may("post:list")) return h("p", {}, t("You have no role yet. Ask an admin for one."));
  const [planned, drafts, inquiries, names] = await Promise.all([
    list("scheduled"),
    list("draft"),
    may("inquiry:list") ? client.get("/v1/editor/inquiries", { query: { status: "new", maxSpamScore: 49 } }).then(({ data }) => data.items) : null,
    members(),
  ]);
  const mine = drafts.filter((post) => post.createdBy === caller.me.id);
  const kept = unsaved().filter((id) => !id.includes(":"));
  const card = (title, rows, empty, heads) => h("section", { class: "card" }, h("h2", {}, title), table(title, heads, rows, empty));
  return [
    may("post:create") && h("p", {}, h("a", { class: "button primary", href: "/console/posts/new" }, t("New post"))),
    kept.length > 0 && h("p", { class: "note status" }, t("Unsaved texts in this browser:"), kept.map((id) => [" ", link(`/posts/${id}`, id === "new" ? t("New post") : `…${id.slice(-6)}`)])),
    h(
      "div", { class: "cards" },
      card(t("Planned"), planned.toSorted((a, b) => a.scheduledAt.localeCompare(b.scheduledAt)).map((post) => [link(`/posts/${post.id}`, post.title), time(post.scheduledAt)]), t("Nothing is planned."), [t("Title"), t("When")]),
      card(t("My drafts"), mine.map((post) => [link(`/posts/${post.id}`, post.title), time(post.updatedAt)]), t("You have no drafts."), [t("Title"), t("Changed")]),
      inquiries && card(t("Unanswered inquiries"), inquiries.map((inquiry) => [link(`/inquiries/${inquiry.id}`, inquiry.subject), names.get(inquiry.assignee) ?? "–", time(inquiry.createdAt)]), t("Every inquiry is being answered."), [t("Subject"), t("Assignee"), t("Received")]),
    ),
  ];
}
