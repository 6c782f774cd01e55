import { client } from "../api.js";
import { h } from "../dom.js";
import { language, t, toKst } from "../i18n.js";
import { link } from "../router.js";

const DAY_MS = 24 * 3600_000;
const format = (options) => new Intl.DateTimeFormat(language, { ...options, timeZone: "UTC" });
const dayOf = (date) => date.toISOString().slice(0, 10);

/** Show a month with the posts that are scheduled in it, by days of Korea. */
export async function calendarPage(_, query) {
  const planned = new Map();
  for await (const post of client.items("/v1/editor/posts", { query: { state: "scheduled", limit: 100 } })) {
    const [day] = toKst(post.scheduledAt).split("T");
    planned.set(day, [...(planned.get(day) ?? []), post]);
  }
  const today = toKst(Date.now()).slice(0, 10);
  const asked = new Date(`${query.get("month")}-01T00:00:00Z`);
  const first = Number.isNaN(asked.getTime()) ? new Date(`${today.slice(0, 7)}-01T00:00:00Z`) : asked;
  const month = (by) => dayOf(new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + by, 1))).slice(0, 7);
  const end = new Date(`${month(1)}-01T00:00:00Z`);
  const weeks = [];
  for (let at = first.getTime() - first.getUTCDay() * DAY_MS; at < end.getTime(); at += 7 * DAY_MS) {
    weeks.push(Array.from({ length: 7 }, (_unused, i) => new Date(at + i * DAY_MS)));
  }
  const cell = (date) => {
    const day = dayOf(date);
    const posts = (planned.get(day) ?? []).toSorted((a, b) => a.scheduledAt.localeCompare(b.scheduledAt));
    return h(
      "td", { class: day.slice(0, 7) === month(0) ? "" : "outside", "aria-current": day === today ? "date" : false },
      h(
        "time", { datetime: day },
        h("span", { "aria-hidden": "true" }, String(date.getUTCDate())),
        h("span", { class: "visually-hidden" }, format({ dateStyle: "full" }).format(date)),
      ),
      posts.length > 0 && h("ul", { class: "plainlist" }, posts.map((post) => h("li", {}, `${toKst(post.scheduledAt).slice(11)} `, link(`/posts/${post.id}`, post.title)))),
    );
  };
  return [
    h(
      "div", { class: "bar" },
      link(`/calendar?month=${month(-1)}`, t("Earlier month")),
      h("h2", {}, format({ year: "numeric", month: "long" }).format(first)),
      link(`/calendar?month=${month(1)}`, t("Later month")),
    ),
    h(
      "table", { class: "month" },
      h("caption", { class: "hint" }, t("Posts that are scheduled, in Korean time")),
      h("thead", {}, h("tr", {}, weeks[0].map((date) => h("th", { scope: "col" }, format({ weekday: "short" }).format(date))))),
      h("tbody", {}, weeks.map((week) => h("tr", {}, week.map(cell)))),
    ),
  ];
}
