import { client, may } from "../api.js";
import { badge } from "./posts.js";
import { previewLinks } from "./previews.js";
import { button, confirmed, dialog, field, form, h, say } from "../dom.js";
import { fromKst, t, time, toKst } from "../i18n.js";
import { link } from "../router.js";

const DONE = {
  publish: "Published. Visitors can read it now.",
  schedule: "Scheduled.",
  unpublish: "It is a draft again; visitors no longer see it.",
  archive: "Archived.",
};

/** Make the row of buttons above the editor: only what the policy allows, and what makes sense in this state. */
export function publication(editor) {
  const { post } = editor;
  const may_ = (action) => post.id && post.allowed.includes(`post:${action}`);
  const does = (action, label, before = () => true, attributes = {}) =>
    button(label, async () => {
      const body = await before();
      if (!body) return;
      if (editor.dirty() && !(await editor.save())) return;
      await change(editor, action, body);
    }, attributes);
  const other = post.lang === "ko" ? t("Write the English version") : t("Write the Korean version");
  return [
    h("div", { class: "where" }, post.id && badge(post), post.state === "scheduled" && h("span", {}, time(post.scheduledAt)), editor.status),
    h(
      "div", { class: "actions" },
      h("button", { class: "primary" }, t("Save")),
      may_("publish") && post.state !== "archived" && does("publish", post.state === "published" ? t("Publish changes") : t("Publish")),
      may_("schedule") && ["draft", "scheduled"].includes(post.state) && does("schedule", t("Schedule"), () => askForTime(post)),
      may_("unpublish") && post.state !== "draft" &&
        does("unpublish", t("Back to draft"), () => post.state !== "published" || confirmed(t("Back to draft"), t("Visitors will no longer see this post."), t("Back to draft"))),
      may_("archive") && post.state !== "archived" &&
        does("archive", t("Archive"), () => post.state !== "published" || confirmed(t("Archive"), t("Visitors will no longer see this post."), t("Archive"))),
      post.id && post.allowed.includes("preview:create") && button(t("Preview link"), () => previewLinks(post)),
      post.id && link(`/posts/${post.id}/history`, t("History")),
      post.id && may("post:create") && link(`/posts/new?translationOf=${post.id}`, other),
    ),
  ];
}

async function change(editor, action, body) {
  const options = { path: { post_id: editor.post.id }, ifMatch: editor.etag, ...(body === true ? {} : { body }) };
  const { data, etag } = await client.post(`/v1/editor/posts/{post_id}/${action}`, options);
  editor.accept(data, etag);
  say(t(DONE[action]));
}

function askForTime(post) {
  const tomorrow = new Date(Date.now() + 24 * 3600_000);
  tomorrow.setUTCHours(0, 0, 0, 0); // Nine o'clock in Korea.
  const input = h("input", { type: "datetime-local", required: true, min: toKst(Date.now()), value: toKst(post.scheduledAt ?? tomorrow) });
  return dialog(t("Schedule"), (close) =>
    form(
      () => input.value && close({ publishAt: fromKst(input.value) }),
      field(t("Publish at (Korean time, KST)"), "publishAt", input),
      h("div", { class: "actions" }, h("button", { class: "primary" }, t("Schedule")), h("button", { type: "button", onclick: () => close() }, t("Cancel"))),
    ),
  );
}
