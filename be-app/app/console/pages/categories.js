import { client, forgetCategories, may } from "../api.js";
import { button, confirmed, dialog, field, form, h, say } from "../dom.js";
import { t } from "../i18n.js";
import { show } from "../router.js";

export async function categoriesPage() {
  const { data, etag } = await client.get("/v1/editor/categories");
  const slugs = data.items.map(({ slug }) => slug);
  const changed = async (request, focus) => {
    await request;
    forgetCategories();
    await show();
    document.getElementById(focus)?.focus();
  };
  const reorder = (from, to, focus) => {
    if (from === to || to < 0 || to >= slugs.length) return;
    const order = slugs.toSpliced(from, 1).toSpliced(to, 0, slugs[from]);
    return changed(client.put("/v1/editor/categories", { ifMatch: etag, body: { slugs: order } }), focus);
  };
  let dragged = null;
  const line = (item, i) => {
    const name = `${item.name.ko} / ${item.name.en}`;
    const move = (label, sign, to) =>
      button(sign, () => reorder(i, to, `${label === t("Up") ? "up" : "down"}-${item.slug}`), { id: `${label === t("Up") ? "up" : "down"}-${item.slug}`, "aria-label": t("{name}: {where}", { name, where: label }), disabled: to < 0 || to >= slugs.length });
    const made = h(
      "li", { draggable: may("category:reorder") ? "true" : false },
      h("span", {}, name, " ", h("small", { class: "hint" }, item.slug)),
      may("category:reorder") && [move(t("Up"), "↑", i - 1), move(t("Down"), "↓", i + 1)],
      may("category:update") && button(t("Rename"), () => editCategory(item, (body) => changed(client.put("/v1/editor/categories/{slug}", { path: { slug: item.slug }, ifMatch: etag, body: { name: body.name } }))), { "aria-label": t("Rename {name}", { name }) }),
      may("category:delete") && button(t("Delete"), async () => {
        if (!(await confirmed(t("Delete"), t("A category can be deleted while no post is in it."), t("Delete")))) return;
        await changed(client.delete("/v1/editor/categories/{slug}", { path: { slug: item.slug }, ifMatch: etag }));
      }, { "aria-label": t("Delete {name}", { name }) }),
    );
    made.addEventListener("dragstart", () => (dragged = i));
    made.addEventListener("dragover", (event) => dragged !== null && event.preventDefault());
    made.addEventListener("drop", (event) => {
      event.preventDefault();
      reorder(dragged, i)?.catch?.(() => show());
    });
    return made;
  };
  return [
    h("div", { class: "bar" }, h("p", { class: "hint" }, t("Visitors see the categories in this order.")), may("category:create") && button(t("New category"), () => editCategory(null, (body) => changed(client.post("/v1/editor/categories", { body }))), { class: "primary" })),
    h("ol", { class: "order plainlist" }, data.items.map(line)),
  ];
}

/** Ask for a category's names, and the slug of a new one. */
function editCategory(item, save) {
  const [ko, en] = [h("input", { lang: "ko", value: item?.name.ko ?? "", required: true }), h("input", { lang: "en", value: item?.name.en ?? "", required: true })];
  const slug = h("input", { spellcheck: "false", required: true });
  return dialog(item ? t("Rename") : t("New category"), (close) =>
    form(
      async () => {
        await save({ slug: slug.value, name: { ko: ko.value, en: en.value } });
        close();
        say(t("Saved."));
      },
      field(t("Korean name"), "name.ko", ko),
      field(t("English name"), "name.en", en),
      !item && field(t("Part of addresses"), "slug", slug, t("Lower-case letters, digits and hyphens; it can't be changed later.")),
      h("div", { class: "actions" }, h("button", { class: "primary" }, t("Save")), h("button", { type: "button", onclick: () => close() }, t("Cancel"))),
    ),
  );
}
