import { authorName, caller, client, may, members } from "../api.js";
import { libraryFiles } from "../choosing.js";
import { button, field, form, h, paged, report, say, select, table } from "../dom.js";
import { bytes, dayStart, number, t, time } from "../i18n.js";
import { go, link, show } from "../router.js";
import { sending } from "../sending.js";

export const kindOf = ({ thumbnail }) => t(thumbnail ? "Picture" : "Document");

export async function libraryPage(_, query) {
  const given = (name) => query.get(name) ?? "";
  const asked = Object.fromEntries(["q", "type", "owner", "unused"].map((name) => [name, given(name) || null]));
  // Days are Korea's, the last one included.
  const [since, until] = [given("since") && dayStart(given("since")), given("until") && dayStart(given("until"), 1)];
  const page = (cursor) => libraryFiles({ ...asked, since: since || null, until: until || null, cursor });
  const [names, first] = await Promise.all([members(), page()]);
  const heads = [t("Preview"), t("Name"), t("Kind"), t("Size"), t("Owner"), t("Uses"), t("Added")];
  const row = (file) => [
    file.thumbnail ? h("img", { class: "thumbnail", src: file.thumbnail, alt: "" }) : "–",
    h("span", {}, link(`/library/${file.id}`, file.name), " ", file.shared && h("span", { class: "badge good" }, t("In the library"))),
    kindOf(file),
    bytes(file.size),
    authorName(names, file.owner),
    number(file.uses.length + file.hiddenUses),
    time(file.createdAt),
  ];
  return [
    h("div", { class: "bar" }, libraryFilters(given, names), may("upload:create") && adding()),
    await paged(page, (found) => table(t("Media library"), heads, found.map(row), t("There are no such files.")), first),
  ];
}

/** Make the form above the list; what it has is in the address, so that a search can be kept and sent. */
function libraryFilters(given, names) {
  const people = [...names].filter(([id, name]) => name && id !== caller.me.id);
  const controls = {
    q: h("input", { type: "search", value: given("q"), maxlength: "100" }),
    type: select([["", t("All kinds")], ["image", t("Pictures")], ["document", t("Documents")]], given("type")),
    owner: select([["", t("All owners")], [caller.me.id, t("I")], ["system", t("The system")], ...people], given("owner")),
    unused: select([["", t("Used or not")], ["true", t("Unused alone")]], given("unused")),
    since: h("input", { type: "date", value: given("since") }),
    until: h("input", { type: "date", value: given("until") }),
  };
  const values = () => Object.entries(controls).map(([name, { value }]) => [name, value.trim()]);
  const made = form(
    () => go(`/library?${new URLSearchParams(values().filter(([, value]) => value))}`),
    h(
      "div", { class: "filters" },
      field(t("Search in names and alternative texts"), "q", controls.q),
      field(t("Kind"), "type", controls.type),
      may("member:list") && field(t("Owner"), "owner", controls.owner),
      field(t("Uses"), "unused", controls.unused),
      field(t("From day"), "since", controls.since),
      field(t("To day"), "until", controls.until),
      h("button", {}, t("Search")),
    ),
  );
  for (const name of ["type", "owner", "unused"]) controls[name].addEventListener("change", () => made.requestSubmit());
  return made;
}

/** Make the button that uploads files into the library, with the progress of each. */
function adding() {
  const list = h("ul", { class: "files" });
  const input = h("input", { type: "file", multiple: true, class: "visually-hidden", tabindex: "-1", "aria-label": t("Add files") });
  async function add(file) {
    const { bar, done } = sending(file);
    const line = list.appendChild(h("li", {}, h("span", {}, file.name), bar));
    try {
      const { id, state } = await done;
      if (state === "clean") await client.put("/v1/uploads/{upload_id}/description", { path: { upload_id: id }, body: { shared: true } });
      else say(t("{name} is still being checked; it can be shared after that.", { name: file.name }));
    } catch (error) {
      report(error);
    } finally {
      line.remove();
    }
  }
  input.addEventListener("change", async () => {
    const files = [...input.files];
    input.value = "";
    await Promise.all(files.map(add));
    if (list.isConnected && !list.children.length) await show();
  });
  return h("div", {}, input, button(t("Add files"), () => input.click(), { class: "primary" }), list);
}
