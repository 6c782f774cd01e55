import { caller, client, may } from "../api.js";
import { button, confirmed, field, form, h, paged, say, select, table } from "../dom.js";
import { t, time } from "../i18n.js";
import { go, link, show } from "../router.js";
import { roleName, roles } from "../words.js";
import { sessionTable } from "./account.js";

const nameOf = (member) => (member.former ? t("Former member") : member.name || member.email || member.id);

export async function membersPage() {
  const heads = [t("Name"), t("Email"), t("Role"), t("Last sign-in"), t("State")];
  const row = (member) => [
    member.allowed?.includes("member:read") ? link(`/members/${member.id}`, nameOf(member)) : nameOf(member),
    member.email || "–",
    roleName(member.role ?? member.groupRole),
    time(member.seenAt),
    member.disabled ? h("span", { class: "badge bad" }, t("Disabled")) : h("span", { class: "badge good" }, t("Active")),
  ];
  const page = (cursor) => client.get("/v1/members", { query: { cursor } }).then(({ data }) => data);
  return [
    h("p", { class: "hint" }, t("Everybody whom the company's login provider lets in appears here after their first sign-in.")),
    await paged(page, (found) => table(t("Members"), heads, found.map(row), t("There are no members."))),
  ];
}

export async function memberPage({ id }) {
  const path = { member_id: id };
  const [{ data: member, etag }, sessions] = await Promise.all([
    client.get("/v1/members/{member_id}", { path }),
    may("session:list-any") ? client.get("/v1/members/{member_id}/sessions", { path }) : null,
  ]);
  const does = (action) => member.allowed?.includes(`member:${action}`);
  const change = async (action) => {
    await client.post(`/v1/members/{member_id}/${action}`, { path, ifMatch: etag });
    await show();
  };
  const byProvider = t("As the login provider says: {role}", { role: roleName(member.groupRole) });
  const role = select([...roles(), ["", byProvider]], member.role ?? "");
  const facts = [[t("Email"), member.email || "–"], [t("Role by the login provider"), roleName(member.groupRole)], [t("Last sign-in"), time(member.seenAt)]];
  return [
    h("p", {}, link("/members", t("All members"))),
    h("h2", {}, nameOf(member), " ", member.disabled && h("span", { class: "badge bad" }, t("Disabled"))),
    h("dl", {}, facts.map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])),
    member.id === caller.me.id && h("p", { class: "hint" }, t("This is you: another admin can change it.")),
    does("set-role") &&
      form(
        async () => {
          await client.put("/v1/members/{member_id}/role", { path, ifMatch: etag, body: { role: role.value || null } });
          await show();
          say(t("Saved."));
        },
        h("div", { class: "filters" }, field(t("Role given here"), "role", role), h("button", { class: "primary" }, t("Save"))),
      ),
    h(
      "div", { class: "actions" },
      !member.disabled && does("disable") && button(t("Disable"), async () => {
        if (await confirmed(t("Disable"), t("All sessions of this member end, and they can't sign in any more."), t("Disable"))) await change("disable");
      }, { class: "danger" }),
      member.disabled && does("enable") && button(t("Enable"), () => change("enable")),
      member.disabled && !member.former && does("erase") && button(t("Erase"), async () => {
        if (!(await confirmed(t("Erase"), t("Name and email address are erased for good. What the member wrote stays."), t("Erase")))) return;
        await client.post("/v1/members/{member_id}/erase", { path, ifMatch: etag });
        await go("/members");
      }, { class: "danger" }),
    ),
    sessions && [
      h("h2", {}, t("Sessions")),
      sessionTable(sessions.data.items, (session) => client.delete("/v1/members/{member_id}/sessions/{session_id}", { path: { ...path, session_id: session } })),
      sessions.data.items.some(({ allowed }) => allowed.includes("session:end-any")) ? button(t("End all sessions"), async () => {
        await client.delete("/v1/members/{member_id}/sessions", { path });
        await show();
      }) : "",
    ],
  ];
}
