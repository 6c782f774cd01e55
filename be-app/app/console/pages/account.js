import { caller, client } from "../api.js";
import { button, confirmed, dialog, h, say, table } from "../dom.js";
import { addPasskey, showRecoveryCodes, totpForm } from "../factors.js";
import { day, plural, t, time } from "../i18n.js";
import { show } from "../router.js";
import { roleName } from "../words.js";

export async function accountPage() {
  const [{ data: sessions }, { data: factors }] = await Promise.all([client.get("/v1/auth/sessions"), client.get("/v1/auth/factors")]);
  const { me } = caller;
  return [
    h("dl", {}, [[t("Name"), me.name], [t("Email"), me.email], [t("Role"), roleName(me.role)]].map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])),
    h("h2", {}, t("Second factors")),
    factorTable(factors.items),
    h("p", {}, plural(factors.recoveryCodesLeft, "{n} recovery code left.", "{n} recovery codes left.")),
    h("div", { class: "actions" }, button(t("Add a passkey"), addedBy(addPasskey)), button(t("Add an authenticator app"), addApp), button(t("New recovery codes"), renew)),
    h("h2", {}, t("Sessions")),
    sessionTable(sessions.items, (id) => client.delete("/v1/auth/sessions/{session_id}", { path: { session_id: id } })),
    button(t("Sign out everywhere"), async () => {
      if (!(await confirmed(t("Sign out everywhere"), t("All your sessions end, also this one."), t("Sign out everywhere")))) return;
      await client.delete("/v1/auth/sessions");
      location.reload();
    }, { class: "danger" }),
  ];
}

const KINDS = { totp: "Authenticator app", passkey: "Passkey" };

const factorTable = (items) =>
  table(t("Second factors"), [t("Kind"), t("Name"), t("Added"), t("Actions")], items.map((factor) => [
    t(KINDS[factor.kind]),
    factor.name || "–",
    day(factor.createdAt),
    items.length > 1
      ? button(t("Remove"), async () => {
          await client.delete("/v1/auth/factors/{factor_id}", { path: { factor_id: factor.id } });
          await show();
        }, { "aria-label": t("Remove {name}", { name: factor.name || t(KINDS[factor.kind]) }) })
      : "–",
  ]), t("There is no second factor."));

const addedBy = (add) => async () => {
  await add();
  await show();
  say(t("Added."));
};

async function addApp() {
  // The request for a secret may need a fresh proof, which is a dialog of its own.
  let done;
  const made = await totpForm(() => done(true));
  if (await dialog(t("Add an authenticator app"), (close) => ((done = close), [made, h("button", { type: "button", onclick: () => close() }, t("Cancel"))]))) {
    await show();
    say(t("Added."));
  }
}

async function renew() {
  if (!(await confirmed(t("New recovery codes"), t("The old codes no longer work then."), t("New recovery codes")))) return;
  await showRecoveryCodes((await client.post("/v1/auth/recovery-codes")).data.recoveryCodes);
  await show();
}

/** Show sessions; `end(id)` ends one. */
export const sessionTable = (items, end) =>
  table(t("Sessions"), [t("Device"), t("Signed in"), t("Last used"), t("Actions")], items.map((session) => [
    device(session.device),
    time(session.createdAt),
    time(session.lastUsedAt),
    session.current
      ? h("span", { class: "badge good" }, t("This one"))
      : session.allowed.some((action) => action.startsWith("session:end")) &&
        button(t("End"), async () => {
          await end(session.id);
          await show();
        }, { "aria-label": t("End the session on {device}", { device: device(session.device) }) }),
  ]), t("There is no session."));

const BROWSERS = [["Edg", "Edge"], ["Whale", "Whale"], ["SamsungBrowser", "Samsung Internet"], ["Firefox", "Firefox"], ["Chrome", "Chrome"], ["Safari", "Safari"]];
const SYSTEMS = [["Windows", "Windows"], ["Android", "Android"], ["iPhone", "iOS"], ["iPad", "iPadOS"], ["Mac OS", "macOS"], ["Linux", "Linux"]];

/** Name a browser and its system by what it says of itself. */
function device(text) {
  const named = [BROWSERS, SYSTEMS].map((names) => names.find(([sign]) => text.includes(sign))?.[1]).filter(Boolean);
  return named.length ? named.join(" · ") : text;
}
