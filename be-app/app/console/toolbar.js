import { h } from "./dom.js";
import { t } from "./i18n.js";

/** Put text in place of the selection, as if it was typed: the browser can undo it. */
export function insert(area, text, from = area.selectionStart, to = area.selectionEnd) {
  area.focus();
  area.setSelectionRange(from, to);
  if (!document.execCommand("insertText", false, text)) {
    area.setRangeText(text, from, to, "end");
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

const around = (mark) => (area) => {
  const { selectionStart: from, selectionEnd: to, value } = area;
  insert(area, `${mark}${value.slice(from, to)}${mark}`);
  area.setSelectionRange(from + mark.length, to + mark.length);
};

const lines = (prefix) => (area) => {
  const from = area.value.lastIndexOf("\n", area.selectionStart - 1) + 1;
  const end = area.value.indexOf("\n", area.selectionEnd);
  const to = end < 0 ? area.value.length : end;
  const changed = area.value.slice(from, to).split("\n").map((line, i) => (typeof prefix === "string" ? prefix : prefix(i)) + line);
  insert(area, changed.join("\n"), from, to);
};

const address = (area) => {
  const { selectionStart: from, selectionEnd: to, value } = area;
  const text = value.slice(from, to);
  insert(area, `[${text}](https://)`);
  const at = text ? area.selectionEnd - 1 : from + 1;
  area.setSelectionRange(at, at);
};

const TOOLS = [
  ["H", "Heading", lines("## ")],
  ["B", "Bold", around("**"), "b"],
  ["I", "Italic", around("*"), "i"],
  ["↗", "Link", address, "k"],
  ["•", "List", lines("- ")],
  ["1.", "Numbered list", lines((i) => `${i + 1}. `)],
  ["❝", "Quotation", lines("> ")],
];

/** Make the buttons above a text in Markdown, of which some have a key: Ctrl or ⌘ and a letter. */
export function toolbar(area, ...more) {
  const buttons = TOOLS.map(([sign, name, action, key]) =>
    h("button", { type: "button", title: t(name) + (key ? ` (Ctrl+${key.toUpperCase()})` : ""), "aria-label": t(name), onclick: () => action(area) }, sign),
  );
  area.addEventListener("keydown", (event) => {
    const tool = TOOLS.find(([, , , key]) => key && key === event.key.toLowerCase());
    if (!tool || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
    event.preventDefault();
    tool[2](area);
  });
  return h("div", { class: "toolbar", role: "group", "aria-label": t("Format") }, buttons, more);
}
