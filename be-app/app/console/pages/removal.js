import { client, etagOf } from "../api.js";
import { confirmed, dialog, field, form, h, say } from "../dom.js";
import { t } from "../i18n.js";
import { discard } from "../local.js";
import { go } from "../router.js";

/** Delete a post that never was public. */
export async function deletePost(editor) {
  const { post } = editor;
  if (!(await confirmed(t("Delete"), t("This post and all its revisions are deleted for good."), t("Delete")))) return;
  await editor.upToDate(() => client.delete("/v1/editor/posts/{post_id}", { path: { post_id: post.id }, ifMatch: etagOf(editor.post.version) }));
  await gone(post);
}

/** Delete an archived post for good, after its address was typed. */
export async function purgePost(editor) {
  const { post } = editor;
  const slug = h("input", { spellcheck: "false", autocomplete: "off", required: true });
  const purged = await dialog(t("Delete for good"), (close) => [
    h("p", {}, t("The post, its revisions and files that no other post has are deleted for good, and old links to it lead nowhere.")),
    form(
      async () => {
        const path = { post_id: post.id };
        const body = { slug: slug.value.trim() };
        await editor.upToDate(() => client.post("/v1/editor/posts/{post_id}/purge", { path, ifMatch: etagOf(editor.post.version), body }));
        close(true);
      },
      field(t("Type the address of the post to confirm: {slug}", { slug: post.slug }), "slug", slug),
      h("div", { class: "actions" }, h("button", { class: "danger" }, t("Delete for good")), h("button", { type: "button", onclick: () => close() }, t("Cancel"))),
    ),
  ]);
  if (purged) await gone(post);
}

async function gone(post) {
  await go("/posts");
  for (const key of [post.id, `${post.id}:aside`]) discard(key); // The editor keeps its text when it is left.
  say(t("Deleted."));
}
