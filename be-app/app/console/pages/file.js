import { authorName, client, members } from "../api.js";
import { libraryFiles } from "../choosing.js";
import { button, confirmed, field, form, h, report, say } from "../dom.js";
import { bytes, plural, t, time } from "../i18n.js";
import { link, show } from "../router.js";
import { sending } from "../sending.js";
import { languageName } from "../words.js";
import { kindOf } from "./library.js";

const UPLOAD = "/v1/uploads/{upload_id}";

/** Ids of the files that this window has replaced, so that the person may take it back. */
const exchanged = new Set();

export async function filePage({ id }) {
  const [names, { items }] = await Promise.all([members(), libraryFiles({ id })]);
  const back = h("p", {}, link("/library", t("All files")));
  const [file] = items;
  if (!file) return [back, h("p", { class: "empty" }, t("There are no such files."))];
  const does = (action) => file.allowed.includes(`upload:${action}`);
  const facts = [[t("Kind"), `${kindOf(file)} (${file.contentType})`], [t("Size"), bytes(file.size)], [t("Owner"), authorName(names, file.owner)], [t("Added"), time(file.createdAt)]];
  const focus = file.thumbnail && focalPoint(file, does("update"));
  const place = h("div", {});
  place.append(
    h(
      "div", { class: "beside-picture" },
      focus && h("div", {}, focus.element),
      h(
        "div", {},
        h("dl", {}, facts.map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])),
        h("h2", {}, t("Uses")),
        usesOf(file),
        does("update") ? description(file, focus) : said(file),
      ),
    ),
    h("div", { class: "actions" }, does("update") && focus && replacing(file), does("delete") && button(t("Delete"), () => remove(file, place), { class: "danger" })),
  );
  return { title: file.name, content: [back, place] };
}

function usesOf({ uses, hiddenUses }) {
  const hidden = hiddenUses > 0 && h("p", { class: "hint" }, plural(hiddenUses, "{n} other text: an earlier revision, or a colleague's draft.", "{n} other texts: earlier revisions, or colleagues' drafts."));
  if (!uses.length) return hidden || h("p", { class: "empty" }, t("No post uses it."));
  return [h("ul", {}, uses.map(({ postId, title }) => h("li", {}, link(`/posts/${postId}`, title)))), hidden];
}

/** Show what is said of a file to those who may not change it. */
function said({ alt, shared }) {
  const texts = Object.entries(alt).filter(([, text]) => text);
  return [
    h("dl", {}, texts.map(([lang, text]) => [h("dt", {}, t("Alternative text ({language})", { language: languageName(lang) })), h("dd", { lang }, text)])),
    shared && h("p", { class: "hint" }, t("Shared: every editor may use it.")),
  ];
}

/** Make the form of what is said of a file. */
function description(file, focus) {
  const texts = Object.fromEntries(["ko", "en"].map((lang) => [lang, h("input", { lang, value: file.alt[lang], maxlength: "500" })]));
  const shared = h("input", { type: "checkbox", checked: file.shared });
  const hint = t("It serves where a post's text says nothing of the picture.");
  return form(
    async () => {
      const body = { alt: { ko: texts.ko.value, en: texts.en.value }, focus: focus ? focus.value() : null, shared: shared.checked };
      await client.put(`${UPLOAD}/description`, { path: { upload_id: file.id }, body });
      await show();
      say(t("Saved."));
    },
    focus && [
      Object.entries(texts).map(([lang, input]) => field(t("Alternative text ({language})", { language: languageName(lang) }), `alt.${lang}`, input, hint)),
      h("fieldset", {}, h("legend", {}, t("Point that crops keep")), h("p", { class: "hint" }, t("Click on the picture, or enter the point.")), h("div", { class: "filters" }, focus.fields)),
    ],
    field(t("In the library"), "shared", shared, t("All editors may use it, and it is kept even if no post uses it.")),
    h("div", { class: "actions" }, h("button", { class: "primary" }, t("Save"))),
  );
}

/** Show a picture with its focal point, and as a crop; where it may be changed, by a click or by two numbers. */
function focalPoint({ name, thumbnail, alt, focus }, changeable) {
  const [x, y] = ["x", "y"].map((axis) => h("input", { type: "number", min: "0", max: "100", value: focus[axis] }));
  const picture = h("img", { src: thumbnail, alt: alt.ko || alt.en || name });
  const crop = h("img", { class: "crop", src: thumbnail, alt: "" });
  const marker = h("span", { class: "focus", "aria-hidden": "true" });
  const draw = () => {
    [marker.style.left, marker.style.top] = [`${x.value}%`, `${y.value}%`];
    crop.style.objectPosition = `${x.value}% ${y.value}%`;
  };
  if (changeable) {
    picture.addEventListener("click", ({ offsetX, offsetY }) => {
      x.value = Math.round((100 * offsetX) / picture.clientWidth);
      y.value = Math.round((100 * offsetY) / picture.clientHeight);
      draw();
    });
    for (const input of [x, y]) input.addEventListener("input", draw);
  }
  draw();
  return {
    element: [h("div", { class: changeable ? "focal changeable" : "focal" }, picture, marker), h("p", { class: "hint" }, t("Cropped")), crop],
    fields: [field(t("From the left (%)"), "focus.x", x), field(t("From the top (%)"), "focus.y", y)],
    // The middle is what a picture has of which nothing is said.
    value: () => (x.value === "50" && y.value === "50" ? null : { x: x.valueAsNumber, y: y.valueAsNumber }),
  };
}

/** Make the buttons that put another picture in the place of this one, and that take it back. */
function replacing({ id }) {
  const input = h("input", { type: "file", accept: "image/*", class: "visually-hidden", tabindex: "-1", "aria-label": t("Replace the picture") });
  const progress = h("span", {});
  const put = async (uploadId) => {
    await client.put(`${UPLOAD}/replacement`, { path: { upload_id: id }, body: { uploadId } });
    if (uploadId === id) exchanged.delete(id);
    else exchanged.add(id);
    await show();
    say(t(uploadId === id ? "The earlier picture is back." : "Replaced. All posts show the new picture."));
  };
  input.addEventListener("change", async () => {
    const { bar, done } = sending(input.files[0], "image");
    input.value = "";
    progress.replaceChildren(bar);
    try {
      await put((await done).id);
    } catch (error) {
      report(error);
    } finally {
      progress.replaceChildren();
    }
  });
  return [
    input,
    button(t("Replace the picture"), () => input.click()),
    exchanged.has(id) && button(t("Bring the earlier picture back"), () => put(id)),
    progress,
  ];
}

/** Delete a file that no post uses, and offer to restore it. The API names the posts that do. */
async function remove({ id }, place) {
  if (!(await confirmed(t("Delete"), t("The file can be restored for 30 days."), t("Delete")))) return;
  const path = { upload_id: id };
  await client.delete(UPLOAD, { path });
  const restore = button(t("Restore"), async () => {
    await client.post(`${UPLOAD}/restore`, { path });
    await show();
    say(t("Restored."));
  });
  place.replaceChildren(restore);
  restore.focus();
  say(t("Deleted."));
}
