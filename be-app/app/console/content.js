import { attachmentsField } from "./files.js";
import { readingFrame, livePreview } from "./preview.js";
import { client } from "./api.js";
import { field, h, select } from "./dom.js";
import { contentOf, FIELDS } from "./fields.js";
import { language, t } from "./i18n.js";
import { languages } from "./words.js";
import { toolbar } from "./toolbar.js";

/** Make the form of a post's content, beside its preview, or the original of a translation. */
export function contentForm(post, items, original) {
  const title = h("input", { maxlength: "200", required: true, lang: post.lang });
  const body = h("textarea", { rows: "20", lang: post.lang, spellcheck: "true" });
  const excerpt = h("textarea", { rows: "2", maxlength: "500", lang: post.lang });
  const tags = h("input", {});
  const slug = h("input", { maxlength: "120", spellcheck: "false" });
  const description = h("textarea", { rows: "2", maxlength: "300", lang: post.lang });
  const canonicalUrl = h("input", { type: "url", maxlength: "500", spellcheck: "false" });
  const noindex = h("input", { type: "checkbox" });
  const category = select([["", t("Choose one")], ...items.map((item) => [item.slug, item.name[language]])], "");
  const lang = select(languages(), post.lang, post.id || original ? { disabled: true } : {});
  const preview = livePreview(() => body.value, () => lang.value);
  const files = attachmentsField(body);
  body.addEventListener("input", preview.later);

  // By the names of `FIELDS`: how each field's value is read from its control, and written to it.
  const input = (control, read = (value) => value) => [
    () => read(control.value),
    (value) => control.value === value || (control.value = value), // Setting it would move the cursor.
  ];
  const controls = {
    title: input(title),
    body: input(body),
    category: input(category),
    tags: [() => [...new Set(tags.value.split(",").map((tag) => tag.trim()).filter(Boolean))], (value) => (tags.value = value.join(", "))],
    slug: input(slug, (value) => value.trim()),
    excerpt: input(excerpt),
    description: input(description),
    canonicalUrl: input(canonicalUrl, (value) => value.trim()),
    noindex: [() => noindex.checked, (value) => (noindex.checked = value)],
    thumbnail: [files.thumbnail, files.setThumbnail],
    attachments: [files.attachments, files.setAttachments],
  };
  const read = () => Object.fromEntries(Object.keys(FIELDS).map((name) => [name, controls[name][0]()]));
  const write = (content) => {
    // A text that this browser kept may be older than a field.
    for (const [name, value] of Object.entries(contentOf(content))) controls[name][1](value);
    preview.render();
  };
  const labelled = (name, ...rest) => field(t(FIELDS[name].label), name, ...rest);
  const text = labelled("body", body);
  body.before(toolbar(body, files.picture, files.button));
  const element = h(
    "div", { class: "editor" },
    h(
      "div", { class: "writing" },
      labelled("title", title),
      text,
    ),
    h("div", { class: "beside" }, original ? besideOriginal(original, preview) : [h("h2", {}, t("Preview")), preview.element]),
    h(
      "div", { class: "properties" },
      labelled("category", category),
      field(t("Language"), "lang", lang),
      labelled("tags", tags, t("Separated by commas")),
      labelled("slug", slug, t("Left empty, it is made from the title.")),
      labelled("excerpt", excerpt, t("Left empty, lists show the beginning of the text.")),
      labelled("description", description, t("Left empty, the summary serves.")),
      labelled("canonicalUrl", canonicalUrl, t("The https:// address, if that isn't this site.")),
      labelled("noindex", noindex),
      files.element,
    ),
  );
  return { element, read, write, lang: () => lang.value };
}

/** Show the original of a translation, with a switch to the preview. */
function besideOriginal(original, preview) {
  const { frame, show } = readingFrame(t("Original"));
  client.get("/v1/editor/posts/{post_id}/preview", { path: { post_id: original.id } }).then(({ data }) => show(data.html, original.lang));
  const first = h("div", { lang: original.lang }, h("h3", {}, original.title), frame);
  preview.element.hidden = true;
  const choice = select([["original", t("Original")], ["preview", t("Preview")]], "original");
  choice.addEventListener("change", () => {
    first.hidden = choice.value !== "original";
    preview.element.hidden = !first.hidden;
  });
  return [field(t("Beside the text"), "beside", choice), first, preview.element];
}
