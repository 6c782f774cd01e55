import { caller } from "./api.js";

const PREFIX = "familycorp:console:text:";
const KEPT_MS = 30 * 24 * 3600_000;

const keyOf = (id) => `${PREFIX}${caller.me.id}:${id}`;

/** Keep an unsaved text in this browser, where a closed tab or an ended session leaves it. */
export function keep(id, value) {
  try {
    localStorage.setItem(keyOf(id), JSON.stringify({ at: Date.now(), ...value }));
    return true;
  } catch {
    return false; // The browser's storage is full or forbidden.
  }
}

/** Return the unsaved text of a post, if this browser keeps one. */
export function kept(id) {
  const found = JSON.parse(localStorage.getItem(keyOf(id)) ?? "null");
  if (found && Date.now() - found.at < KEPT_MS) return found;
  discard(id);
  return null;
}

export const discard = (id) => localStorage.removeItem(keyOf(id));

/** Return the ids of the posts whose unsaved texts are kept for the caller. */
export const unsaved = () =>
  Object.keys(localStorage).filter((key) => key.startsWith(keyOf(""))).map((key) => key.slice(keyOf("").length));

export const discardAll = () => unsaved().forEach(discard);
