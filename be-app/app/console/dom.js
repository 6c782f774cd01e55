import { t } from "./i18n.js";

/**
 * Make an element. Strings become text, never markup; `on…` attributes are listeners; false and null leave out an
 * attribute or a child.
 */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  if (name === "select" && attributes?.value !== undefined) element.value = attributes.value; // After its options.
  return element;
}

let fields = 0;

/** Make a labelled input whose error message is found by `showErrors`; `name` is the field's in the request. */
export function field(label, name, input, hint = "") {
  const id = `field-${++fields}`;
  input.id = id;
  input.dataset.field = name;
  input.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
  input.addEventListener("input", () => mark(input, ""));
  return h(
    "div", { class: "field" },
    h("label", { for: id }, label),
    input,
    h("p", { class: "hint", id: `${id}-hint`, hidden: !hint }, hint),
    h("p", { class: "error", id: `${id}-error`, hidden: true }),
  );
}

/** Show each error of a problem at its field inside `root`; return the messages of the others. */
export function showErrors(root, problem) {
  const inputs = [...root.querySelectorAll("[data-field]")];
  for (const input of inputs) mark(input, "");
  const rest = [];
  for (const { field: path, message } of problem?.errors ?? []) {
    const name = path.replace(/^body\./, "");
    const input = inputs.find(({ dataset }) => name === dataset.field || name.startsWith(`${dataset.field}.`));
    if (input) mark(input, input.tagName === "SELECT" && !input.value ? t("Choose one") : message);
    else rest.push(message);
  }
  inputs.find((input) => input.hasAttribute("aria-invalid"))?.focus();
  return rest;
}

function mark(input, message) {
  const error = document.getElementById(`${input.id}-error`);
  if (!error) return;
  error.textContent = message;
  error.hidden = !message;
  if (message) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

export const select = (options, value, attributes = {}) =>
  h("select", { ...attributes, value }, options.map(([key, text]) => h("option", { value: key }, text)));

/** Make a button that does something once at a time, and says what went wrong. */
export function button(label, action, attributes = {}) {
  const made = h("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", () => working(made, action));
  return made;
}

/** Make a form that calls `action` when it is sent; Enter that ends a composition (IME) sends nothing. */
export function form(action, ...children) {
  const made = h("form", { novalidate: true }, ...children);
  made.addEventListener("keydown", (event) => {
    const composing = event.isComposing || event.keyCode === 229;
    // In a text of several lines Enter sends nothing, and may end the line with the syllable.
    if (event.key === "Enter" && composing && event.target.tagName === "INPUT") event.preventDefault();
  });
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    working(made.querySelector("button:not([type=button])"), () => action(made), made);
  });
  return made;
}

async function working(control, action, root = null) {
  if (control?.getAttribute("aria-busy") === "true") return;
  control?.setAttribute("aria-busy", "true");
  const around = ancestors(control);
  dropProblems();
  try {
    if (root) showErrors(root, null);
    await action();
  } catch (error) {
    report(error, root);
  } finally {
    control?.removeAttribute("aria-busy");
    if (control && !control.isConnected) refocus(control, around);
  }
}

function ancestors(element) {
  const found = [];
  for (let at = element?.parentElement; at; at = at.parentElement) found.push(at);
  return found;
}

/** Move the keyboard's focus from a control that its own action has replaced to what took its place. */
function refocus({ textContent }, around) {
  if (document.activeElement !== document.body) return;
  const near = around.find((element) => element.isConnected && element !== document.body);
  const controls = [...(near?.querySelectorAll("button, a[href]") ?? [])];
  (controls.find((one) => one.textContent === textContent) ?? controls[0])?.focus({ preventScroll: true });
}

const problems = [];

/** Take away what earlier actions reported, since another one begins, or another page. */
export const dropProblems = () => problems.splice(0).forEach((note) => note.remove());

const reporters = [];

/** Have `handler(error)` see each error first; where it returns true, nothing is shown. */
export const onError = (handler) => reporters.push(handler);

export function report(error, root = null) {
  if (error?.name === "AbortError" || reporters.some((handler) => handler(error))) return;
  const rest = root ? showErrors(root, error) : (error.errors ?? []).map(({ message }) => message);
  const shown = error.title ? [error.title, error.detail, ...rest] : [t("Something went wrong."), error.message];
  problems.push(say([...new Set(shown)].filter(Boolean).map(sentence).join(" "), "alert"));
}

const sentence = (text) => (/[.!?…:]$/.test(text) ? text : `${text}.`);

/** Say something in a live region, which screen readers announce. */
export function say(text, role = "status") {
  const note = h("div", { class: `note ${role}`, role }, h("span", {}, text));
  note.append(h("button", { type: "button", class: "plain", "aria-label": t("Close"), onclick: () => note.remove() }, "×"));
  // What is behind an open dialog is neither seen nor read out.
  const region = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.getElementById("notes");
  if (role === "status") region.querySelectorAll(".status").forEach((old) => old.remove());
  region.append(note);
  if (role === "status") setTimeout(() => note.remove(), 10_000);
  return note;
}

/** Open a dialog, and return what `close(value)` was called with; undefined where it was cancelled. */
export function dialog(title, content) {
  return new Promise((resolve) => {
    let result;
    const close = (value) => {
      result = value;
      made.close();
    };
    const id = `dialog-${++fields}`; // A dialog may open another.
    const made = h("dialog", { "aria-labelledby": id }, h("h2", { id }, title), content(close));
    made.addEventListener("close", () => {
      made.remove();
      resolve(result);
    });
    document.body.append(made);
    made.showModal();
  });
}

/** Ask for confirmation of what can't be undone. */
export const confirmed = (title, text, label) =>
  dialog(title, (close) => [
    h("p", {}, text),
    h(
      "div", { class: "actions" },
      h("button", { type: "button", class: "danger", onclick: () => close(true) }, label),
      h("button", { type: "button", onclick: () => close(false) }, t("Cancel")),
    ),
  ]);

/** Make a table that is a list of cards on a phone; `rows` are lists of cells. */
export function table(caption, heads, rows, empty) {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  return h(
    "table", {},
    h("caption", { class: "visually-hidden" }, caption),
    h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, i) => h("td", { "data-label": heads[i] }, cell))))),
  );
}

/**
 * Make a list that grows by a button; `page(cursor)` returns `{ items, nextCursor }`, `show(items)` an element. `first`
 * is the first page where it was requested already, beside something else.
 */
export async function paged(page, show, first = page()) {
  const items = [];
  const place = h("div", {});
  async function more(requested) {
    const { items: found, nextCursor } = await requested;
    items.push(...found);
    place.replaceChildren(show(items), nextCursor ? button(t("Show more"), () => more(page(nextCursor))) : "");
  }
  await more(first);
  return place;
}
