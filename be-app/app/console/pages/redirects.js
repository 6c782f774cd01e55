import { client, may } from "../api.js";
import { button, confirmed, dialog, field, form, h, paged, say, table } from "../dom.js";
import { t, time } from "../i18n.js";
import { show } from "../router.js";

export async function redirectsPage() {
  const one = (id) => client.get("/v1/editor/redirects/{redirect_id}", { path: { redirect_id: id } });
  const row = (redirect) => [
    redirect.path,
    redirect.target,
    time(redirect.updatedAt),
    h(
      "div", { class: "actions" },
      may("redirect:update") && button(t("Change"), () => editRedirect(redirect, async (body) => {
        const { etag } = await one(redirect.id);
        await client.put("/v1/editor/redirects/{redirect_id}", { path: { redirect_id: redirect.id }, ifMatch: etag, body: { target: body.target } });
      }), { "aria-label": t("Change {name}", { name: redirect.path }) }),
      may("redirect:delete") && button(t("Delete"), async () => {
        if (!(await confirmed(t("Delete"), t("Who follows an old link to {name} finds nothing then.", { name: redirect.path }), t("Delete")))) return;
        const { etag } = await one(redirect.id);
        await client.delete("/v1/editor/redirects/{redirect_id}", { path: { redirect_id: redirect.id }, ifMatch: etag });
        await show();
      }, { "aria-label": t("Delete {name}", { name: redirect.path }) }),
    ),
  ];
  const page = (cursor) => client.get("/v1/editor/redirects", { query: { cursor } }).then(({ data }) => data);
  return [
    h("div", { class: "bar" }, h("p", { class: "hint" }, t("Addresses of the earlier site, and where they lead now.")), may("redirect:create") && button(t("New redirect"), () => editRedirect(null, (body) => client.post("/v1/editor/redirects", { body })), { class: "primary" })),
    await paged(page, (found) => table(t("Redirects"), [t("Earlier path"), t("Leads to"), t("Changed"), t("Actions")], found.map(row), t("There are no redirects."))),
  ];
}

function editRedirect(redirect, save) {
  const path = h("input", { spellcheck: "false", value: redirect?.path ?? "/", disabled: Boolean(redirect) });
  const target = h("input", { spellcheck: "false", value: redirect?.target ?? "/" });
  return dialog(redirect ? t("Change") : t("New redirect"), (close) =>
    form(
      async () => {
        await save({ path: path.value, target: target.value });
        close();
        await show();
        say(t("Saved."));
      },
      field(t("Earlier path"), "path", path, t("With its query, such as /board.php?id=3.")),
      field(t("Leads to"), "target", target, t("A path of this site.")),
      h("div", { class: "actions" }, h("button", { class: "primary" }, t("Save")), h("button", { type: "button", onclick: () => close() }, t("Cancel"))),
    ),
  );
}
