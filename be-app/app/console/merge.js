import { differences } from "./diff.js";

/** Return how lines become others: `[start, end, lines]` of what takes the place of the lines from start to end. */
function hunks(before, after) {
  const found = [];
  let at = 0;
  let open = null;
  for (const [sign, line] of differences(before, after)) {
    if (sign === " ") {
      open = null;
      at++;
      continue;
    }
    if (!open) found.push((open = [at, at, []]));
    if (sign === "-") open[1] = ++at;
    else open[2].push(line);
  }
  return found;
}

/** Return the lines from start to end with changes applied that lie between. */
function applied(lines, start, end, changes) {
  const made = [];
  let at = start;
  for (const [from, to, by] of changes) {
    made.push(...lines.slice(at, from), ...by);
    at = to;
  }
  return [...made, ...lines.slice(at, end)];
}

/**
 * Merge two changes of a text line by line. Where both changed the same lines, `mine` stands before `theirs` and
 * `clean` is false: nothing is left out. Without a base, what both have in common serves.
 */
export function merged(base, mine, theirs) {
  const lines = base?.split("\n") ?? differences(mine, theirs).flatMap(([sign, line]) => (sign === " " ? line : []));
  const changes = [mine, theirs].flatMap((text, side) => hunks(lines.join("\n"), text).map((hunk) => ({ hunk, side })));
  changes.sort((a, b) => a.hunk[0] - b.hunk[0] || a.hunk[1] - b.hunk[1]);
  const made = [];
  let [at, clean] = [0, true];
  for (let i = 0; i < changes.length; ) {
    const start = changes[i].hunk[0];
    let end = start;
    const sides = [[], []];
    for (; i < changes.length && (changes[i].hunk[0] <= end); i++) {
      sides[changes[i].side].push(changes[i].hunk);
      end = Math.max(end, changes[i].hunk[1]);
    }
    const [ours, others] = sides.map((hunk) => applied(lines, start, end, hunk));
    made.push(...lines.slice(at, start));
    if (!sides[1].length || ours.join("\n") === others.join("\n")) made.push(...ours);
    else if (!sides[0].length) made.push(...others);
    else {
      made.push(...ours, ...others);
      clean = false;
    }
    at = end;
  }
  return { text: [...made, ...lines.slice(at)].join("\n"), clean };
}
