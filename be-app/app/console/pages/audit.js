import { client, members } from "../api.js";
import { field, form, h, paged, table } from "../dom.js";
import { t, time } from "../i18n.js";
import { go, link } from "../router.js";
import { OTHERS, ROLES } from "../words.js";
import { STATUSES } from "./inquiries.js";

const DEEDS = {
  "category.created": "Created a category",
  "category.deleted": "Deleted a category",
  "category.renamed": "Renamed a category",
  "categories.reordered": "Put the categories in another order",
  "content.import_undone": "Took an import of content back",
  "content.imported": "Imported content",
  "inquiries.destroyed": "Destroyed inquiries at the end of their period",
  "inquiry.categories_changed": "Changed the categories of inquiries",
  "inquiry.destroyed": "Destroyed an inquiry",
  "inquiry.exported": "Exported inquiries",
  "inquiry.received": "Sent an inquiry",
  "inquiry.updated": "Worked on an inquiry",
  "member.disabled": "Disabled a member",
  "member.enabled": "Enabled a member",
  "member.erased": "Erased a member's data",
  "member.joined": "Signed in for the first time",
  "member.role_changed": "Changed a member's role",
  "member.sessions_ended": "Ended a member's sessions",
  "post.archived": "Archived a post",
  "post.created": "Wrote a post",
  "post.moved": "Changed a post's address",
  "post.deleted": "Deleted a post",
  "post.picture_changed": "Replaced a picture of a post",
  "post.published": "Published a post",
  "post.purged": "Deleted a post for good",
  "post.restored": "Restored an earlier revision of a post",
  "post.scheduled": "Scheduled a post",
  "post.shared": "Shared a post",
  "post.unpublished": "Made a post a draft again",
  "post.unscheduled": "Dropped what was planned for a post",
  "post.unshared": "Stopped sharing a post",
  "post.updated": "Changed a post",
  "preview.created": "Made a preview link",
  "preview.revoked": "Ended a preview link",
  "redirect.created": "Created a redirect",
  "redirect.deleted": "Deleted a redirect",
  "redirect.updated": "Changed a redirect",
  "upload.clean": "Uploaded a file",
  "upload.deleted": "Deleted a file",
  "upload.described": "Described a file",
  "upload.rejected": "Uploaded a file that was refused",
  "upload.replaced": "Replaced a file",
  "upload.restored": "Restored a file",
};
const DETAILS = {
  after: "Now",
  assignee: "Assignee",
  at: "Publication",
  before: "Before",
  category: "Category",
  count: "Number",
  member: "Member",
  path: "Earlier path",
  reason: "Reason",
  revision: "Revision",
  status: "State",
  to: "Leads to",
  until: "End",
};
/** What details say in words of the API. */
const WORDS = { ...ROLES, ...STATUSES, request: "On request", retention: "End of the period", restore: "After a restore" };
const PLACES = { post: "/posts/", member: "/members/", inquiry: "/inquiries/", upload: "/library/" };

export async function auditPage(_, query) {
  const given = query.get("target") ?? "";
  const page = (cursor) => client.get("/v1/audit", { query: { target: given || null, cursor } }).then(({ data }) => data);
  const [names, first] = await Promise.all([members(), page()]);
  const target = h("input", { value: given, maxlength: "100", spellcheck: "false" });
  const who = (entry) => names.get(entry.actor) ?? (OTHERS[entry.actor] ? t(OTHERS[entry.actor]) : entry.formerMember ? t("Former member") : entry.actor);
  const where = (entry) => {
    const [kind, id] = entry.target.split(":");
    const short = id && id.length > 12 ? `…${id.slice(-6)}` : id ?? kind;
    return h(
      "span", {},
      PLACES[kind] && !entry.action.endsWith("destroyed") ? link(PLACES[kind] + id, short) : short,
      " ",
      h("a", { href: `/console/audit?${new URLSearchParams({ target: entry.target })}`, "aria-label": t("All about {target}", { target: short }) }, t("All")),
    );
  };
  const row = (entry) => [time(entry.at), who(entry), DEEDS[entry.action] ? t(DEEDS[entry.action]) : entry.action, where(entry), details(entry.detail, names)];
  return [
    form(
      () => go(`/audit?${new URLSearchParams(target.value ? { target: target.value } : {})}`),
      h("div", { class: "filters" }, field(t("Only about"), "target", target, t("Such as post: and an id; empty for all.")), h("button", {}, t("Show"))),
    ),
    await paged(page, (found) => table(t("Audit trail"), [t("When"), t("Who"), t("What"), t("Where"), t("Details")], found.map(row), t("There are no entries.")), first),
  ];
}

function details(detail, names) {
  const known = Object.entries(detail ?? {}).filter(([, value]) => value !== null);
  return known.map(([key, value]) => `${DETAILS[key] ? t(DETAILS[key]) : key}: ${shownDetail(value, names)}`).join(", ") || "–";
}

function shownDetail(value, names) {
  if (typeof value === "object") return JSON.stringify(value);
  if (/^\d{4}-\d\d-\d\dT/.test(value)) return time(value);
  return names.get(value) ?? (WORDS[value] ? t(WORDS[value]) : value);
}
