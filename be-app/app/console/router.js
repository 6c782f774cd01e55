import { dropProblems, h, report } from "./dom.js";
import { t } from "./i18n.js";

export const ROOT = "/console";
const routes = [];
let shown = 0;
const leaving = [];

/**
 * Have `page(parameters, query)` make the content of the addresses that a pattern such as `/posts/:id` matches; where it
 * makes `{ title, content }`, the page has a title of its own.
 */
export function route(pattern, title, page) {
  const expression = new RegExp(`^${pattern.replace(/:(\w+)/g, "(?<$1>[^/]+)")}$`);
  routes.push({ expression, title, page });
}

/** Make a link that stays in the console. */
export const link = (path, ...children) => h("a", { href: ROOT + path }, ...children);

export function go(path, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", ROOT + path);
  return show();
}

/** Call something before another page takes the place of this one. */
export const onLeave = (action) => leaving.push(action);

/** Show the page of the browser's address. */
export async function show() {
  const current = ++shown;
  for (const action of leaving.splice(0)) action();
  dropProblems();
  const path = location.pathname.slice(ROOT.length).replace(/\/$/, "") || "/";
  const main = document.querySelector("main");
  for (const anchor of document.querySelectorAll("nav a, a.me")) {
    const at = new URL(anchor.href).pathname.slice(ROOT.length) || "/";
    const here = at.replace(/\/$/, "") === path.replace(/\/$/, "") || (at.length > 1 && path.startsWith(`${at}/`));
    if (here) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  main.setAttribute("aria-busy", "true");
  const [matched, parameters] = match(path);
  let title = matched ? t(matched.title) : t("There is no such page");
  document.title = `${title} · FamilyCorp`;
  let content;
  try {
    content = matched ? await matched.page(parameters, new URLSearchParams(location.search)) : [];
  } catch (error) {
    if (current === shown) report(error);
    content = h("p", {}, t("This page could not be loaded."), " ", h("a", { href: location.href }, t("Try again")));
  }
  if (current !== shown) return;
  if (content?.title) ({ title, content } = content);
  document.title = `${title} · FamilyCorp`;
  const heading = h("h1", { tabindex: "-1" }, title);
  main.replaceChildren(heading, h("div", {}, content));
  main.removeAttribute("aria-busy");
  heading.focus();
}

function match(path) {
  for (const candidate of routes) {
    const found = candidate.expression.exec(path);
    if (found) return [candidate, Object.fromEntries(Object.entries(found.groups ?? {}).map(([k, v]) => [k, decodeURIComponent(v)]))];
  }
  return [null, {}];
}

addEventListener("popstate", () => show());
addEventListener("click", (event) => {
  const anchor = event.target.closest?.("a[href]");
  const plain = !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button || event.defaultPrevented);
  if (!anchor || !plain || anchor.target || anchor.hasAttribute("download") || anchor.origin !== location.origin) return;
  if (!anchor.pathname.startsWith(`${ROOT}/`) || anchor.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  go(anchor.pathname.slice(ROOT.length) + anchor.search);
});
