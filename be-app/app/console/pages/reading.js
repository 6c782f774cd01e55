import { client } from "../api.js";
import { badge } from "./posts.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { readingFrame } from "../preview.js";
import { link } from "../router.js";

/** Show a post that the caller may read and not change. */
export async function readOnly(post) {
  const { data } = await client.get("/v1/editor/posts/{post_id}/preview", { path: { post_id: post.id } });
  const { frame, show } = readingFrame(t("Preview"));
  show(data.html, post.lang);
  return { title: post.title, content: [h("p", {}, badge(post), " ", link(`/posts/${post.id}/history`, t("History"))), frame] };
}
