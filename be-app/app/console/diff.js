import { h } from "./dom.js";
import { t } from "./i18n.js";

/** Compare two texts line by line (longest common subsequence): `[sign, line]` with ` `, `-` or `+`. */
export function differences(before, after) {
  const [a, b] = [before.split("\n"), after.split("\n")];
  let [start, endA, endB] = [0, a.length, b.length];
  while (start < endA && start < endB && a[start] === b[start]) start++;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) endA--, endB--;
  const [n, m] = [endA - start, endB - start];
  const same = a.slice(0, start).map((line) => [" ", line]);
  const rest = a.slice(endA).map((line) => [" ", line]);
  // Two large texts that differ throughout: a table of them wouldn't fit into the browser's memory.
  if (n * m > 4_000_000) return [...same, ...a.slice(start, endA).map((l) => ["-", l]), ...b.slice(start, endB).map((l) => ["+", l]), ...rest];
  const longest = Array.from({ length: n + 1 }, () => new Uint32Array(m + 1));
  for (let i = n - 1; i >= 0; i--)
    for (let j = m - 1; j >= 0; j--)
      longest[i][j] = a[start + i] === b[start + j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
  const middle = [];
  for (let i = 0, j = 0; i < n || j < m; ) {
    if (i < n && j < m && a[start + i] === b[start + j]) middle.push([" ", a[start + i++]]), j++;
    else if (i < n && (j === m || longest[i + 1][j] >= longest[i][j + 1])) middle.push(["-", a[start + i++]]);
    else middle.push(["+", b[start + j++]]);
  }
  return [...same, ...middle, ...rest];
}

const NAMES = { "-": "del", "+": "ins" };

/** Show differences, of `name` where there are several; screen readers announce what was removed and added. */
export function diffView(lines, name = "") {
  if (lines.every(([sign]) => sign === " ")) return h("p", { class: "empty" }, t("There is no difference."));
  return h(
    "div", { class: "diff", tabindex: "0", role: "region", "aria-label": name ? `${t("Differences")}: ${name}` : t("Differences") },
    lines.map(([sign, line]) => h(NAMES[sign] ?? (sign === "@" ? "strong" : "span"), {}, `${sign === "@" ? "" : `${sign} `}${line}`)),
  );
}

/** Read a unified diff of the API. */
export const unified = (text) =>
  text.split("\n").filter((line) => line && !/^(---|\+\+\+) /.test(line)).map((line) => (line[0] === "@" ? ["@", line] : [line[0], line.slice(1)]));
