import { dialog, field, h } from "./dom.js";
import { differences, diffView } from "./diff.js";
import { contentOf, differing, FIELDS, withIds } from "./fields.js";
import { merged } from "./merge.js";
import { t } from "./i18n.js";
import { badge } from "./pages/posts.js";

/**
 * Show, field by field, what somebody else saved meanwhile beside what was written here, and return what the person
 * made of both: `{ content, lost }`, where `lost` says that something written here gave way; undefined to go on writing.
 *
 * `bases` has the fields' values, with ids for files, in the version that the person began with, as far as they are
 * known. Fields that only one side changed need no choice, and nobody is asked where theirs changed nothing.
 */
export async function mergeVersions({ mine, theirs, bases, who, shownCategory }) {
  const [ours, others] = [withIds(mine), withIds(theirs)];
  const unchanged = (name, values) => name in bases && JSON.stringify(bases[name]) === JSON.stringify(values[name]);
  const asked = differing(mine, theirs).filter((name) => !unchanged(name, others));
  if (!asked.length) return { content: mine, lost: false };
  const choices = asked.map((name) => {
    const shown = name === "category" ? shownCategory : FIELDS[name].shown;
    return choice({ name, mine: mine[name], theirs: theirs[name], base: bases[name], shown, onlyTheirs: unchanged(name, ours) });
  });
  const result = () => ({
    content: { ...mine, ...Object.fromEntries(choices.map(({ name, value }) => [name, value()])) },
    lost: choices.some(({ lost }) => lost()),
  });
  return dialog(t("Somebody else has saved this post"), (close) => [
    h("p", {}, t("{who} saved another version while you were writing. Lines with − are theirs, lines with + are yours.", { who })),
    choices.map(({ element }) => element),
    h("p", { class: "hint" }, t("Their version stays in the history. Your text stays here until you choose.")),
    h(
      "div", { class: "actions" },
      h("button", { type: "button", class: "primary", onclick: () => close(result()) }, t("Save this as a new revision")),
      h("button", { type: "button", onclick: () => close() }, t("Go on writing")),
    ),
  ]);
}

/** Show what has changed in a post since `was`, of which `shown` is the content; return whether to go on with `now`. */
export function showChanges({ was, shown, now, shownCategory }) {
  const theirs = contentOf(now);
  const words = (name, value) => (name === "category" ? shownCategory : FIELDS[name].shown)(value);
  const changed = differing(shown, theirs).map((name) => [
    h("h3", {}, t(FIELDS[name].label)),
    diffView(differences(words(name, shown[name]), words(name, theirs[name])), t(FIELDS[name].label)),
  ]);
  return dialog(t("This post has changed meanwhile"), (close) => [
    h("p", {}, t("Somebody else has changed it, so nothing was done.")),
    was.state !== now.state && h("p", {}, t("State"), " ", badge(was), "→ ", badge(now)),
    changed,
    h(
      "div", { class: "actions" },
      h("button", { type: "button", class: "primary", onclick: () => close(true) }, t("Go on with the newest version")),
      h("button", { type: "button", onclick: () => close() }, t("Cancel")),
    ),
  ]);
}

/** Make the choice between two values of a field. */
function choice({ name, mine, theirs, base, shown, onlyTheirs }) {
  const both = FIELDS[name].merged && !onlyTheirs && merged(base, mine, theirs);
  const text = both && h("textarea", { rows: "8", value: both.text });
  const hint = both && !both.clean ? t("Where both changed the same lines, yours stand before theirs: put them in order.") : "";
  const place = both && field(t("Merged text"), `merged-${name}`, text, hint);
  const options = [["mine", t("Yours")], ["theirs", t("Theirs")], ...(both ? [["both", t("Both, merged")]] : [])];
  const preset = onlyTheirs ? "theirs" : both ? "both" : "mine";
  let chosen;
  const choose = (value) => {
    chosen = value;
    if (place) place.hidden = value !== "both";
  };
  const radios = options.map(([value, words]) =>
    h("label", {}, h("input", { type: "radio", name: `choice-${name}`, checked: value === preset, onchange: () => choose(value) }), words),
  );
  choose(preset);
  return {
    name,
    element: h("fieldset", {}, h("legend", {}, t(FIELDS[name].label)), diffView(differences(shown(theirs), shown(mine)), t(FIELDS[name].label)), h("div", { class: "actions" }, radios), place),
    value: () => ({ mine, theirs, both: text?.value })[chosen],
    lost: () => chosen === "theirs" && !onlyTheirs,
  };
}
