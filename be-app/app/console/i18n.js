import { KO } from "./ko.js";

const STORED = "familycorp:console:language";

/** The console's language: the one that was chosen, else the browser's. */
export const language = localStorage.getItem(STORED) ?? (navigator.language.startsWith("ko") ? "ko" : "en");

export function switchLanguage(to) {
  localStorage.setItem(STORED, to);
  location.reload();
}

/** Return a text in the console's language, with values in place of `{name}`. Sources name texts in English. */
export function t(text, values = {}) {
  const found = language === "ko" ? KO[text] ?? text : text;
  return found.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Return one of two texts by a number, which is `{n}` in them. Korean has one form for both. */
export const plural = (n, one, other) => t(language === "en" && n === 1 ? one : other, { n: number(n) });

const numbers = new Intl.NumberFormat(language);
export const number = (n) => numbers.format(n);

const at = { timeZone: "Asia/Seoul" };
const times = new Intl.DateTimeFormat(language, { ...at, dateStyle: "medium", timeStyle: "short" });
const days = new Intl.DateTimeFormat(language, { ...at, dateStyle: "medium" });

/** Return an instant as it is in Korea, wherever the browser is. */
export const time = (instant) => (instant ? times.format(new Date(instant)) : "–");
export const day = (instant) => (instant ? days.format(new Date(instant)) : "–");

/** Return an instant as `datetime-local` takes it, in Korean time; and the way back. */
export const toKst = (instant) => new Date(new Date(instant).getTime() + 9 * 3600_000).toISOString().slice(0, 16);
export const fromKst = (local) => `${local}[Asia/Seoul]`;

/** Return the instant at which a day (`2027-01-04`) begins in Korea, or one of the days after it. */
export const dayStart = (date, later = 0) => new Date(Date.parse(`${date}T00:00:00+09:00`) + later * 24 * 3600_000).toISOString();

const UNITS = ["B", "kB", "MB", "GB"];

export function bytes(size) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(size, 1)) / 3));
  return `${number(Math.round(size / 1000 ** power * 10) / 10)} ${UNITS[power]}`;
}
