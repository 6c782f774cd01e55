import { attachmentsField } from "./files.js";
import { readingFrame, livePreview } from "./preview.js";
import { client } from "./api.js";
import { field, h, select } from "./dom.js";
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
  const files = attachmentsField(post, body);
  body.addEventListener("input", preview.later);

  const contentOf = (of) => ({
    title: of.title,
    body: of.body,
    excerpt: of.excerpt,
    tags: of.tags,
    slug: of.slug ?? "",
    category: of.category,
    thumbnail: of.thumbnail,
    attachments: of.attachments,
    description: of.description,
    canonicalUrl: of.canonicalUrl ?? "",
    noindex: of.noindex,
  });
  const read = () => ({
    title: title.value,
    body: body.value,
    excerpt: excerpt.value,
    tags: [...new Set(tags.value.split(",").map((tag) => tag.trim()).filter(Boolean))],
    slug: slug.value.trim(),
    category: category.value,
    thumbnail: files.thumbnail(),
    attachments: files.attachments(),
    description: description.value,
    canonicalUrl: canonicalUrl.value.trim(),
    noindex: noindex.checked,
  });
  const write = (content) => {
    title.value = content.title;
    body.value = content.body;
    excerpt.value = content.excerpt;
    tags.value = content.tags.join(", ");
    slug.value = content.slug;
    // A text that an earlier version of the console kept has none of these.
    description.value = content.description ?? "";
    canonicalUrl.value = content.canonicalUrl ?? "";
    noindex.checked = content.noindex ?? false;
    category.value = content.category;
    files.write(content);
    preview.render();
  };
  const request = (content, of) => ({
    ...content,
    slug: content.slug && content.slug !== of.slug ? content.slug : null,
    canonicalUrl: content.canonicalUrl || null,
    thumbnail: content.thumbnail?.id ?? null,
    attachments: content.attachments.map(({ id }) => id),
  });
  const element = h(
    "div", { class: "editor" },
    h(
      "div", { class: "writing" },
      field(t("Title"), "title", title),
      h("div", { class: "text" }, toolbar(body, files.button), field(t("Text (Markdown)"), "body", body)),
    ),
    h("div", { class: "beside" }, original ? besideOriginal(original, preview) : [h("h2", {}, t("Preview")), preview.element]),
    h(
      "div", { class: "properties" },
      field(t("Category"), "category", category),
      field(t("Language"), "lang", lang),
      field(t("Tags"), "tags", tags, t("Separated by commas")),
      field(t("Address (slug)"), "slug", slug, t("Left empty, it is made from the title.")),
      field(t("Summary"), "excerpt", excerpt, t("Left empty, lists show the beginning of the text.")),
      field(t("Description for search engines"), "description", description, t("Left empty, the summary serves.")),
      field(t("First published at"), "canonicalUrl", canonicalUrl, t("The https:// address, if that isn't this site.")),
      field(t("Leave out of search engines"), "noindex", noindex),
      files.element,
    ),
  );
  write(contentOf(post));
  return { element, contentOf, read, write, request, lang: () => lang.value };
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
