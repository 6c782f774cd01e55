import { client } from "./api.js";
import { dialog, field, form, h, paged, report } from "./dom.js";
import { t } from "./i18n.js";

/** Return a page of the media library, whose files `query` narrows. */
export const libraryFiles = (query) => client.get("/v1/uploads", { query }).then(({ data }) => data);

/** Have the person choose a file of the media library, of this type if one is given; return what the API has of it. */
export function chooseFile(type = null) {
  return dialog(t("Media library"), (close) => {
    const q = h("input", { type: "search", maxlength: "100" });
    const found = h("div", {});
    const choice = (file) =>
      h("li", {}, h("button", { type: "button", onclick: () => close(file) }, file.thumbnail && h("img", { src: file.thumbnail, alt: "" }), file.name));
    const show = (files) => {
      const free = files.filter(({ allowed }) => allowed.includes("upload:attach"));
      return free.length ? h("ul", { class: "choices plainlist" }, free.map(choice)) : h("p", { class: "empty" }, t("There are no such files."));
    };
    const find = async () => found.replaceChildren(await paged((cursor) => libraryFiles({ q: q.value.trim() || null, type, cursor }), show));
    find().catch(report);
    return [
      form(find, h("div", { class: "filters" }, field(t("Search in names and alternative texts"), "q", q), h("button", {}, t("Search")))),
      found,
      h("div", { class: "actions" }, h("button", { type: "button", onclick: () => close() }, t("Cancel"))),
    ];
  });
}
