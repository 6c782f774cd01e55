import { dialog, h } from "./dom.js";
import { differences, diffView } from "./diff.js";
import { t } from "./i18n.js";

/** Return a post's content as text, for a comparison. */
export const asText = ({ title, excerpt, tags, body }) => [title, excerpt, tags.join(", "), "", body].join("\n");

/**
 * Show what somebody else saved meanwhile beside what was written here, and return `mine`, `theirs`, or undefined to go
 * on writing. Neither text is lost by it: theirs is a revision, and mine stays in the editor or in this browser.
 */
export function chooseVersion(theirs, mine, who) {
  return dialog(t("Somebody else has saved this post"), (close) => [
    h("p", {}, t("{who} saved another version while you were writing. Lines with − are theirs, lines with + are yours.", { who })),
    diffView(differences(asText(theirs), asText(mine))),
    h("p", { class: "hint" }, t("Their version stays in the history. Your text stays here until you choose.")),
    h(
      "div", { class: "actions" },
      h("button", { type: "button", class: "primary", onclick: () => close("mine") }, t("Save mine as a new revision")),
      h("button", { type: "button", onclick: () => close("theirs") }, t("Take theirs")),
      h("button", { type: "button", onclick: () => close() }, t("Go on writing")),
    ),
  ]);
}
