import { client } from "./api.js";
import { button, dialog, field, form, h, say } from "./dom.js";
import { t } from "./i18n.js";
import { own } from "./client/problem.js";

const codeInput = () =>
  h("input", { name: "code", autocomplete: "one-time-code", maxlength: "40", spellcheck: "false", required: true });

/** Make the form that proves the second factor; `done` is called after the proof. */
function proof(factor, methods, done) {
  const input = codeInput();
  return h(
    "div", { class: "stack" },
    form(
      async () => {
        await factor.code(input.value);
        await done();
      },
      field(t("Code of the authenticator app, or a recovery code"), "code", input),
      h("button", { class: "primary" }, t("Continue")),
    ),
    methods.includes("passkey") &&
      button(t("Use a passkey"), async () => {
        await factor.passkey();
        await done();
      }),
  );
}

/** Ask for the second factor over the page, so that what was interrupted goes on. */
export async function proveInPlace(factor) {
  const { methods } = await factor.state();
  const proven = await dialog(t("Confirm that it is you"), (close) => [
    h("p", {}, t("This step needs a fresh proof of your second factor. It then goes on.")),
    proof(factor, methods, () => close(true)),
    h("button", { type: "button", onclick: () => close(false) }, t("Cancel")),
  ]);
  if (!proven) throw new DOMException("", "AbortError");
}

/** Make the page of a login that waits for its second factor, or for the first to be added. */
export async function secondFactorPage({ enrolled, methods }, done) {
  if (enrolled) {
    return [h("h1", { tabindex: "-1" }, t("Second factor")), proof(client.secondFactor, methods, done)];
  }
  const place = h("div", { class: "stack" });
  const added = async (codes) => {
    if (codes) await showRecoveryCodes(codes);
    await done();
  };
  place.append(await totpForm(added), button(t("Use a passkey instead"), async () => added(await addPasskey())));
  return [
    h("h1", { tabindex: "-1" }, t("Add a second factor")),
    h("p", {}, t("Scan the code with an authenticator app, then enter the six digits that it shows.")),
    place,
  ];
}

/** Make the form that adds an authenticator app; `added` gets the recovery codes of a first factor. */
export async function totpForm(added) {
  const { secret, qrSvg } = (await client.post("/v1/auth/enrolment/totp")).data;
  // As an image, since an image runs no scripts; an image needs the namespace.
  const svg = qrSvg.replace(/^<svg(?! xmlns)/, '<svg xmlns="http://www.w3.org/2000/svg"');
  const input = codeInput();
  input.inputMode = "numeric";
  return form(
    async () => {
      const { data } = await client.post("/v1/auth/enrolment/totp/confirm", { body: { code: input.value } });
      await added(data.recoveryCodes);
    },
    h("img", { class: "qr", width: "220", height: "220", src: `data:image/svg+xml,${encodeURIComponent(svg)}`, alt: t("QR code for an authenticator app") }),
    h("p", {}, t("Key"), " ", h("code", { class: "secret" }, secret)),
    field(t("Code of the app"), "code", input),
    h("button", { class: "primary" }, t("Add")),
  );
}

/** Have the browser create a passkey and add it; return the recovery codes of a first factor. */
export async function addPasskey() {
  const { publicKey } = (await client.post("/v1/auth/enrolment/passkey-options")).data;
  const options = PublicKeyCredential.parseCreationOptionsFromJSON(publicKey);
  const made = await navigator.credentials.create({ publicKey: options }).catch((error) => {
    if (error.name === "NotAllowedError") throw new DOMException("", "AbortError");
    throw own("unexpected_response", client.language);
  });
  const name = `${navigator.userAgentData?.platform || navigator.platform || t("Browser")} ${new Date().toISOString().slice(0, 10)}`;
  return (await client.post("/v1/auth/enrolment/passkey", { body: { name, credential: made.toJSON() } })).data.recoveryCodes;
}

/** Show recovery codes, which the API gives once. */
export function showRecoveryCodes(codes) {
  const text = codes.join("\n");
  return dialog(t("Recovery codes"), (close) => [
    h("p", {}, t("They are shown this once. Keep them where your phone is not: each signs you in once without it.")),
    h("ul", { class: "codes" }, codes.map((code) => h("li", {}, code))),
    h(
      "div", { class: "actions" },
      button(t("Copy"), async () => {
        await navigator.clipboard.writeText(text);
        say(t("Copied."));
      }),
      h("button", { type: "button", class: "primary", onclick: () => close(true) }, t("I have kept them")),
    ),
  ]);
}
