import { h } from "./dom.js";

/** What an editor says above the text, each kind in a place of its own, until it is no longer so. */
export class Notices {
  constructor() {
    this.places = {};
    this.element = h("div", {});
  }

  tell(kind, text, ...actions) {
    this.places[kind] ??= this.element.appendChild(h("div", { role: "status" }));
    this.places[kind].replaceChildren(h("div", { class: "note status" }, h("span", {}, text), actions));
  }

  clear(kind) {
    this.places[kind]?.replaceChildren();
  }
}
