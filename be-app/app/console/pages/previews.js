import { client } from "../api.js";
import { button, dialog, h, say, table } from "../dom.js";
import { t, time } from "../i18n.js";

/** Make, show and end the links that show a revision of a post to people without a login. */
export async function previewLinks(post) {
  const path = { post_id: post.id };
  const [made, list] = [h("div", {}), h("div", {})];
  const row = (one) => [
    String(one.revision),
    time(one.expiresAt),
    button(t("End"), async () => {
      await client.delete("/v1/editor/posts/{post_id}/previews/{preview_id}", { path: { ...path, preview_id: one.id } });
      made.replaceChildren();
      await draw();
    }, { "aria-label": t("End the link to revision {number}", { number: one.revision }) }),
  ];
  async function draw() {
    const { data } = await client.get("/v1/editor/posts/{post_id}/previews", { path });
    list.replaceChildren(table(t("Preview links"), [t("Revision"), t("Works until"), t("Actions")], data.items.map(row), t("No link works.")));
  }
  async function create() {
    const { url } = (await client.post("/v1/editor/posts/{post_id}/previews", { path, body: {} })).data;
    const copy = button(t("Copy"), async () => {
      await navigator.clipboard.writeText(url);
      say(t("Copied."));
    });
    made.replaceChildren(h("p", {}, h("code", { class: "secret" }, url)), h("p", { class: "hint" }, t("The address is shown this once.")), copy);
    await draw();
  }
  await draw();
  return dialog(t("Preview links"), (close) => [
    h("p", {}, t("Who has the link reads the saved revision without signing in, for three days.")),
    made,
    h("div", { class: "actions" }, button(t("New link"), create, { class: "primary" }), h("button", { type: "button", onclick: () => close() }, t("Close"))),
    list,
  ]);
}
