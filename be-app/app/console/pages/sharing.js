import { caller, client, members } from "../api.js";
import { button, dialog, field, form, h, say, select, table } from "../dom.js";
import { t } from "../i18n.js";

const SHARES = "/v1/editor/posts/{post_id}/shares";

/** Let colleagues read a post, or also edit it, before it is public. */
export async function sharing(post) {
  const path = { post_id: post.id };
  const list = h("div", {});
  const names = await members();
  const row = ({ memberId, name, canEdit }) => [
    name || t("Former member"),
    t(canEdit ? "Reads and edits" : "Reads"),
    button(t("Stop sharing"), async () => {
      await client.delete(`${SHARES}/{member_id}`, { path: { ...path, member_id: memberId } });
      await draw();
    }, { "aria-label": t("Stop sharing with {name}", { name: name || t("Former member") }) }),
  ];
  async function draw() {
    const { data } = await client.get(SHARES, { path });
    list.replaceChildren(table(t("Sharing"), [t("Name"), t("May"), t("Actions")], data.items.map(row), t("It is shared with nobody.")));
  }
  const others = [...names].filter(([id, name]) => name && id !== caller.me.id && id !== post.createdBy);
  const colleague = select([["", t("Choose one")], ...others], "", { required: true });
  const canEdit = h("input", { type: "checkbox" });
  const add = form(
    async () => {
      if (!colleague.value) return colleague.focus();
      await client.put(`${SHARES}/{member_id}`, { path: { ...path, member_id: colleague.value }, body: { canEdit: canEdit.checked } });
      await draw();
      say(t("Shared."));
    },
    field(t("Colleague"), "member_id", colleague),
    field(t("May also edit it"), "canEdit", canEdit),
    h("button", { class: "primary" }, t("Share")),
  );
  await draw();
  return dialog(t("Sharing"), (close) => [
    h("p", {}, t("Until it is published, only you, admins and these colleagues see this post. Publishing stays yours.")),
    list,
    add,
    h("div", { class: "actions" }, h("button", { type: "button", onclick: () => close() }, t("Close"))),
  ]);
}
