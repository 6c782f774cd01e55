import { authorName, client, members } from "../api.js";
import { button, h, say, table } from "../dom.js";
import { diffView, unified } from "../diff.js";
import { plural, t, time } from "../i18n.js";
import { go, link } from "../router.js";

export async function historyPage({ id }) {
  const path = { post_id: id };
  const [{ data: post, etag }, { data: revisions }, names] = await Promise.all([
    client.get("/v1/editor/posts/{post_id}", { path }),
    client.get("/v1/editor/posts/{post_id}/revisions", { path }),
    members(),
  ]);
  const shown = h("section", { "aria-live": "polite" });
  const compare = async (number) => {
    const options = { path: { ...path, number }, query: { against: number - 1 } };
    const { data } = await client.get("/v1/editor/posts/{post_id}/revisions/{number}/diff", options);
    shown.replaceChildren(h("h2", {}, t("Revision {number}", { number })), diffView(unified(data.unified)));
    shown.scrollIntoView({ block: "nearest" });
  };
  const restore = async (number) => {
    await client.post("/v1/editor/posts/{post_id}/revisions/{number}/restore", { path: { ...path, number }, ifMatch: etag });
    await go(`/posts/${id}`);
    say(t("Revision {number} is the newest again. Visitors read it once you publish it.", { number }));
  };
  const rows = revisions.items.map((revision) => [
    h("span", {}, String(revision.number), revision.number === post.publishedRevision && [" ", h("span", { class: "badge published" }, t("Public"))]),
    revision.title,
    authorName(names, revision.createdBy),
    time(revision.createdAt),
    h(
      "div", { class: "actions" },
      revision.number > 1 && button(t("Changes"), () => compare(revision.number), { "aria-label": t("Changes of revision {number}", { number: revision.number }) }),
      post.allowed.includes("post:update") && revision.number !== post.revision &&
        button(t("Restore"), () => restore(revision.number), { "aria-label": t("Restore revision {number}", { number: revision.number }) }),
    ),
  ]);
  return [
    h("p", {}, link(`/posts/${id}`, t("Back to the post")), ` · ${plural(revisions.items.length, "{n} revision", "{n} revisions")}`),
    table(t("History"), [t("Revision"), t("Title"), t("Author"), t("Saved"), t("Actions")], rows, ""),
    shown,
  ];
}
