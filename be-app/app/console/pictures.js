import { chooseFile } from "./choosing.js";
import { dialog, field, form, h } from "./dom.js";
import { t } from "./i18n.js";
import { sending } from "./sending.js";
import { insert } from "./toolbar.js";

/** Return a picture as Markdown; the sign before each character that Markdown would take for its own keeps it a letter. */
const pictureMarkdown = (id, alt) => {
  const text = alt.trim().replace(/\s+/g, " ").replace(/[\\`*_[\]<~|]|&(?=#?\w+;)/g, "\\$&");
  return `![${text}](upload:${id})`;
};

/** Upload pictures, and put them into a text where its cursor is. */
export const insertPictures = (area, files) => insertRows(area, [...files].map(pictureRow));

/** Have the person choose a picture of the media library, and put it into a text where its cursor is. */
export async function insertLibraryPicture(area) {
  const file = await chooseFile("image");
  if (file) await insertRows(area, [libraryRow(file)]);
}

/** Ask what each picture shows, and put them into a text. */
async function insertRows(area, rows) {
  const { selectionStart: from, selectionEnd: to } = area;
  const made = await dialog(t("Pictures in the text"), (close) =>
    form(
      async () => {
        const lines = [];
        for (const { done, alt } of rows) lines.push(pictureMarkdown(await done, alt.value));
        close(lines.join("\n\n"));
      },
      rows.map(({ element }) => element),
      h("div", { class: "actions" }, h("button", { class: "primary" }, t("Insert")), h("button", { type: "button", onclick: () => close() }, t("Cancel"))),
    ),
  );
  for (const { forget } of rows) forget();
  if (!made) return;
  // A picture is a paragraph of its own.
  const [before, after] = [area.value.slice(0, from), area.value.slice(to)];
  insert(area, `${/(^|\n\n)$/.test(before) ? "" : "\n\n"}${made}${after.startsWith("\n\n") ? "" : "\n\n"}`, from, to);
}

const DECORATION = "People who can't see the picture read this. Leave it empty only where the picture is mere decoration.";

/** Begin to upload a picture, and show it with its progress and the field for its alternative text. */
function pictureRow(file) {
  const url = URL.createObjectURL(file);
  const { bar, done: checked } = sending(file, "image");
  const done = checked.then(({ id }) => id);
  done.catch(() => (bar.hidden = true)); // `Insert` says what went wrong.
  return { ...described(h("img", { src: url, alt: file.name }), t(DECORATION), bar), done, forget: () => URL.revokeObjectURL(url) };
}

/** Show a picture of the library with the field for its alternative text in this post. */
function libraryRow({ id, name, thumbnail, alt }) {
  const known = [alt.ko, alt.en].filter(Boolean).join(" / ");
  const hint = known ? t("Left empty, the library's text serves: {text}", { text: known }) : t(DECORATION);
  return { ...described(h("img", { src: thumbnail, alt: name }), hint), done: id, forget: () => {} };
}

function described(picture, hint, ...below) {
  const alt = h("input", { maxlength: "300" });
  return { alt, element: h("div", { class: "picture" }, h("div", {}, picture, below), field(t("What does the picture show?"), "alt", alt, hint)) };
}
