// Sends the inquiry, and shows each field's error beside it.
import { Problem } from "@familycorp/client";
import { html } from "../html.js";
import { CONSENT_VERSION, TEXTS } from "../texts.js";
import { client, find, lang, show } from "./page.js";

const texts = TEXTS[lang];
const form = find<HTMLFormElement>("#inquiry");
const summary = find("#summary");
const button = find<HTMLButtonElement>("#inquiry [type=submit]");
const fields = Object.keys(texts.fields) as (keyof typeof texts.fields)[];
let idempotencyKey = crypto.randomUUID();

/** What the form has; an optional field without text is left out. */
function filled() {
  const data = new FormData(form);
  const text = (name: string) => String(data.get(name) ?? "").trim();
  const optional = (name: string) => text(name) || undefined;
  return {
    name: text("name"),
    email: text("email"),
    company: optional("company"),
    category: optional("category"),
    subject: text("subject"),
    message: text("message"),
    website: optional("website"), // The honeypot: people don't see it.
    consent: data.has("consent") as true, // The API refuses `false`, with a message beside the box.
    consentVersion: CONSENT_VERSION,
  };
}

function mark(problem?: Problem): void {
  const wrong = fields.filter((name) => {
    const message = problem?.of(`body.${name}`);
    const input = document.getElementById(name);
    if (!input) return false;
    find(`#${name}-error`).textContent = message ?? "";
    if (message) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    return message !== undefined;
  });
  if (wrong.length > 0) {
    show(summary, html`<p>${texts.invalid}</p><ul>${wrong.map((name) => html`<li><a href="#${name}">${texts.fields[name]}</a></li>`)}</ul>`);
    document.getElementById(wrong[0]!)!.focus();
  } else {
    summary.textContent = problem?.message ?? "";
  }
}

form.oninput = () => {
  idempotencyKey = crypto.randomUUID(); // What is sent twice without a change in between is one inquiry.
};

document.getElementById("category")?.addEventListener("change", (event) => {
  const { days } = (event.target as HTMLSelectElement).selectedOptions[0]!.dataset;
  find("#period").textContent = texts.terms.period[1](Number(days));
});

form.onsubmit = async (event) => {
  event.preventDefault();
  button.disabled = true;
  button.textContent = texts.sending;
  mark();
  try {
    await client.post("/v1/inquiries", { body: filled(), idempotencyKey });
    show(find("#main"), html`<h1>${texts.sent}</h1><p>${texts.sentHelp}</p>`);
    find("#main").focus();
  } catch (error) {
    if (error instanceof Problem) mark(error);
    else throw error;
  } finally {
    button.disabled = false;
    button.textContent = texts.send;
  }
};
