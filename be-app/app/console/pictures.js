import { client } from "./api.js";
import { dialog, field, form, h } from "./dom.js";
import { t } from "./i18n.js";
import { insert } from "./toolbar.js";

/** Return a picture as Markdown; the sign before each character that Markdown would take for its own keeps it a letter. */
const pictureMarkdown = (id, alt) => {
  const text = alt.trim().replace(/\s+/g, " ").replace(/[\\`*_[\]<~|]|&(?=#?\w+;)/g, "\\$&");
  return `![${text}](upload:${id})`;
};

/** Upload pictures, ask what each of them shows, and put them into a text where its cursor is. */
export async function insertPictures(area, files) {
  const { selectionStart: from, selectionEnd: to } = area;
  const rows = [...files].map(pictureRow);
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

/** Begin to upload a picture, and show it with its progress and the field for its alternative text. */
function pictureRow(file) {
  const url = URL.createObjectURL(file);
  const bar = h("progress", { max: "1", value: 0, "aria-label": t("Upload of {name}", { name: file.name }) });
  const alt = h("input", { maxlength: "300" });
  const hint = t("People who can't see the picture read this. Leave it empty only where the picture is mere decoration.");
  const upload = client.upload(file, { purpose: "image", onProgress: (share) => (bar.value = share) });
  const done = upload.done.then(({ id, state }) => {
    if (state === "rejected") throw new Error(t("{name} was refused by the check of its content.", { name: file.name }));
    return id;
  });
  done.catch(() => (bar.hidden = true)); // `Insert` says what went wrong.
  const element = h(
    "div", { class: "picture" },
    h("div", {}, h("img", { src: url, alt: file.name }), bar),
    field(t("What does the picture show?"), "alt", alt, hint),
  );
  return { element, alt, done, forget: () => URL.revokeObjectURL(url) };
}
