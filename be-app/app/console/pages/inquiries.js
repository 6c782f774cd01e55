import { client, may, members } from "../api.js";
import { button, confirmed, dialog, field, form, h, paged, say, select, table } from "../dom.js";
import { language, number, t, time } from "../i18n.js";
import { go, link, show } from "../router.js";

export const STATUSES = { new: "Unanswered", in_progress: "In progress", done: "Done" };
const statuses = () => Object.entries(STATUSES).map(([key, text]) => [key, t(text)]);
const SPAM_FROM = 50;

const spam = (score) => score !== null && score >= SPAM_FROM && h("span", { class: "badge bad" }, t("Spam? {score}", { score: number(score) }));
const categoryList = () => client.get("/v1/editor/inquiry-categories").then(({ data }) => data.items);
const named = (items, slug) => items.find((item) => item.slug === slug)?.name[language] ?? slug ?? "–";

export async function inquiriesPage(_, query) {
  const given = (name) => query.get(name) ?? "";
  const bySpam = { no: { maxSpamScore: SPAM_FROM - 1 }, yes: { minSpamScore: SPAM_FROM } }[given("spam")];
  const page = (cursor) =>
    client.get("/v1/editor/inquiries", { query: { status: given("status") || null, category: given("category") || null, assignee: given("assignee") || null, ...bySpam, cursor } }).then(({ data }) => data);
  const [items, names, first] = await Promise.all([categoryList(), members(), page()]);
  const status = select([["", t("All states")], ...statuses()], given("status"));
  const category = select([["", t("All categories")], ...items.map((item) => [item.slug, item.name[language]])], given("category"));
  const assignee = select([["", t("Everybody")], ...names], given("assignee"));
  const kind = select([["", t("All inquiries")], ["no", t("Without spam")], ["yes", t("Spam alone")]], given("spam"));
  const chosen = { status, category, assignee, spam: kind };
  const filters = form(
    () => go(`/inquiries?${new URLSearchParams(Object.entries(chosen).map(([k, input]) => [k, input.value]).filter(([, v]) => v))}`),
    h("div", { class: "filters" }, field(t("State"), "status", status), field(t("Category"), "category", category), field(t("Assignee"), "assignee", assignee), field(t("Spam"), "spam", kind)),
  );
  for (const input of Object.values(chosen)) input.addEventListener("change", () => filters.requestSubmit());
  const heads = [t("Subject"), t("From"), t("State"), t("Category"), t("Assignee"), t("Received")];
  const row = (inquiry) => [
    h("span", {}, link(`/inquiries/${inquiry.id}`, inquiry.subject), " ", spam(inquiry.spamScore)),
    [inquiry.name, inquiry.company].filter(Boolean).join(", "),
    h("span", { class: `badge ${inquiry.status === "done" ? "good" : ""}` }, t(STATUSES[inquiry.status])),
    named(items, inquiry.category),
    names.get(inquiry.assignee) ?? "–",
    time(inquiry.createdAt),
  ];
  return [
    h("div", { class: "bar" }, filters, may("inquiry:export") && button(t("Search by email"), () => ofPerson(heads, row))),
    await paged(page, (found) => table(t("Inquiries"), heads, found.map(row), t("There are no such inquiries.")), first),
  ];
}

/** Show and export all that is stored of one person: their right of access. */
function ofPerson(heads, row) {
  const email = h("input", { type: "email", autocomplete: "off", required: true });
  const found = h("div", {});
  return dialog(t("Search by email"), (close) => [
    form(
      async () => {
        const { data } = await client.post("/v1/editor/inquiry-search", { body: { email: email.value } });
        found.replaceChildren(
          table(t("Inquiries"), heads, data.items.map(row), t("There are no such inquiries.")),
          data.items.length ? button(t("Export as CSV"), () => exportCsv(email.value)) : "",
        );
        found.querySelectorAll("a").forEach((anchor) => anchor.addEventListener("click", () => close()));
      },
      field(t("Email"), "email", email),
      h("div", { class: "actions" }, h("button", { class: "primary" }, t("Search")), h("button", { type: "button", onclick: () => close() }, t("Close"))),
    ),
    found,
  ]);
}

async function exportCsv(email) {
  const { data } = await client.post("/v1/editor/inquiry-export.csv", { body: { email } });
  const url = URL.createObjectURL(new Blob([data], { type: "text/csv" }));
  h("a", { href: url, download: "inquiries.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export async function inquiryPage({ id }) {
  const path = { inquiry_id: id };
  const [{ data: inquiry, etag }, items, names] = await Promise.all([client.get("/v1/editor/inquiries/{inquiry_id}", { path }), categoryList(), members()]);
  const status = select(statuses(), inquiry.status);
  const category = select([["", "–"], ...items.map((item) => [item.slug, item.name[language]])], inquiry.category ?? "");
  const assignee = select([["", t("Nobody")], ...names], inquiry.assignee ?? "");
  const note = h("textarea", { rows: "5", maxlength: "10000", value: inquiry.note });
  const facts = [
    [t("From"), [inquiry.name, inquiry.company].filter(Boolean).join(", ")],
    [t("Reply to"), h("a", { href: `mailto:${encodeURIComponent(inquiry.email)}?${new URLSearchParams({ subject: `Re: ${inquiry.subject}` }).toString().replaceAll("+", "%20")}` }, inquiry.email)],
    [t("Received"), time(inquiry.createdAt)],
    [t("Consent"), `${time(inquiry.consentedAt)} ${inquiry.consentVersion ?? ""}`],
    [t("Found us by"), inquiry.referral || "–"],
    [t("Will be destroyed"), time(inquiry.destroyAt)],
  ];
  return [
    h("p", {}, link("/inquiries", t("All inquiries"))),
    h("h2", {}, inquiry.subject, " ", spam(inquiry.spamScore)),
    h("dl", {}, facts.map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])),
    h("p", { class: "message" }, inquiry.message),
    may("inquiry:update") &&
      form(
        async () => {
          const body = { status: status.value, category: category.value || null, assignee: assignee.value || null, note: note.value };
          await client.put("/v1/editor/inquiries/{inquiry_id}", { path, ifMatch: etag, body });
          await show();
          say(t("Saved."));
        },
        h("div", { class: "filters" }, field(t("State"), "status", status), field(t("Category"), "category", category), field(t("Assignee"), "assignee", assignee)),
        field(t("Note"), "note", note, t("For colleagues; the visitor never sees it.")),
        h(
          "div", { class: "actions" },
          h("button", { class: "primary" }, t("Save")),
          may("inquiry:destroy") && button(t("Destroy"), async () => {
            if (!(await confirmed(t("Destroy"), t("The inquiry and all personal data in it are destroyed for good."), t("Destroy")))) return;
            await client.delete("/v1/editor/inquiries/{inquiry_id}", { path, ifMatch: etag });
            await go("/inquiries");
            say(t("Destroyed."));
          }, { class: "danger" }),
        ),
      ),
  ];
}
