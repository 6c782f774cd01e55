import { client, etagOf, may } from "../api.js";
import { badge, plans } from "./posts.js";
import { previewLinks } from "./previews.js";
import { deletePost, purgePost } from "./removal.js";
import { askForTimes } from "./schedule.js";
import { sharing } from "./sharing.js";
import { button, confirmed, h, say } from "../dom.js";
import { t } from "../i18n.js";
import { link } from "../router.js";
import { otherLanguage, versionName } from "../words.js";

const DONE = {
  publish: "Published. Visitors can read it now.",
  unpublish: "It is a draft again; visitors no longer see it.",
  archive: "Archived.",
};

/** Make the row of buttons above the editor: only what the policy allows, and what makes sense in this state. */
export function publication(editor) {
  const { post } = editor;
  const may_ = (action) => post.id && post.allowed.includes(action);
  const saved = async () => !editor.dirty() || editor.save();
  const does = (action, label, sure = () => true) =>
    button(label, async () => {
      if (!(await sure()) || !(await saved())) return;
      await change(editor, action);
      say(t(DONE[action]));
    });
  // Visitors notice what happens to a public post, so that is asked for.
  const hides = (label) => () => post.state !== "published" || confirmed(label, t("Visitors will no longer see this post."), label);
  const plan = async () => (await saved()) && askForTimes(editor, (body) => change(editor, "schedule", body));
  const [is, neverPublic] = [(state) => post.state === state, !post.firstPublishedAt];
  return [
    h("div", { class: "where" }, post.id && [badge(post), plans(post).map((text) => h("span", {}, text))], editor.status, !post.id && h("p", { class: "hint" }, t("A saved post can be published and scheduled."))),
    h(
      "div", { class: "actions" },
      h("button", { class: "primary" }, t("Save")),
      may_("post:publish") && !is("archived") && does("publish", is("published") ? t("Publish changes") : t("Publish")),
      may_("post:schedule") && !is("archived") && button(t("Schedule"), plan),
      may_("post:unpublish") && !is("draft") && does("unpublish", t("Back to draft"), hides(t("Back to draft"))),
      may_("post:archive") && !is("archived") && does("archive", t("Archive"), hides(t("Archive"))),
      may_("post:share") && neverPublic && button(t("Share"), () => sharing(post)),
      may_("preview:create") && button(t("Preview link"), () => previewLinks(post)),
      may_("post:delete") && neverPublic && button(t("Delete"), () => deletePost(editor), { class: "danger" }),
      may_("post:purge") && is("archived") && button(t("Delete for good"), () => purgePost(editor), { class: "danger" }),
      post.id && link(`/posts/${post.id}/history`, t("History")),
      post.id && may("post:create") && link(`/posts/new?translationOf=${post.id}`, versionName(otherLanguage(post.lang))),
    ),
  ];
}

async function change(editor, action, body) {
  const path = { post_id: editor.post.id };
  const send = () => client.post(`/v1/editor/posts/{post_id}/${action}`, { path, ifMatch: etagOf(editor.post.version), body });
  const { data } = await editor.upToDate(send);
  editor.accept(data);
}
