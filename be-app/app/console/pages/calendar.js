import { client } from "../api.js";
import { h } from "../dom.js";
import { dayStart, language, t, toKst } from "../i18n.js";
import { link } from "../router.js";

const DAY_MS = 24 * 3600_000;
const format = (options) => new Intl.DateTimeFormat(language, { ...options, timeZone: "UTC" });
const weekday = (date) => format({ weekday: "short" }).format(date);
const dayOf = (date) => date.toISOString().slice(0, 10);

/** Show a month with what is planned in it, by days of Korea. */
export async function calendarPage(_, query) {
  const today = toKst(Date.now()).slice(0, 10);
  const asked = new Date(`${query.get("month")}-01T00:00:00Z`);
  const first = Number.isNaN(asked.getTime()) ? new Date(`${today.slice(0, 7)}-01T00:00:00Z`) : asked;
  const month = (by) => dayOf(new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + by, 1))).slice(0, 7);
  const end = new Date(`${month(1)}-01T00:00:00Z`);
  const lastWeek = end.getTime() + ((7 - end.getUTCDay()) % 7) * DAY_MS;
  const firstWeek = first.getTime() - first.getUTCDay() * DAY_MS;
  const within = { since: dayStart(dayOf(new Date(firstWeek))), until: dayStart(dayOf(new Date(lastWeek))) };
  const { data } = await client.get("/v1/editor/calendar", { query: within });
  const planned = Map.groupBy(data.items, ({ at }) => toKst(at).slice(0, 10));
  const weeks = [];
  for (let at = firstWeek; at < lastWeek; at += 7 * DAY_MS) {
    weeks.push(Array.from({ length: 7 }, (_unused, i) => new Date(at + i * DAY_MS)));
  }
  const cell = (date) => {
    const day = dayOf(date);
    const steps = planned.get(day) ?? [];
    return h(
      "td", { class: day.slice(0, 7) === month(0) ? "" : "outside", "aria-current": day === today ? "date" : false, "data-label": weekday(date) },
      h(
        "time", { datetime: day },
        h("span", { "aria-hidden": "true" }, String(date.getUTCDate())),
        h("span", { class: "visually-hidden" }, format({ dateStyle: "full" }).format(date)),
      ),
      steps.length > 0 && h("ul", { class: "plainlist" }, steps.map(planItem)),
    );
  };
  return [
    !data.complete && h("p", { class: "note alert" }, t("More is planned than this page can show.")),
    h(
      "div", { class: "bar" },
      link(`/calendar?month=${month(-1)}`, t("Earlier month")),
      h("h2", {}, format({ year: "numeric", month: "long" }).format(first)),
      link(`/calendar?month=${month(1)}`, t("Later month")),
    ),
    h(
      "table", { class: "month" },
      h("caption", { class: "hint" }, t("What is planned for posts, in Korean time")),
      h("thead", {}, h("tr", {}, weeks[0].map((date) => h("th", { scope: "col" }, weekday(date))))),
      h("tbody", {}, weeks.map((week) => h("tr", {}, week.map(cell)))),
    ),
  ];
}

const planItem = ({ step, at, postId, title, state }) =>
  h(
    "li", {},
    `${toKst(at).slice(11)} `,
    link(`/posts/${postId}`, title),
    " ",
    step === "unpublish" ? h("span", { class: "badge bad" }, t("End")) : state === "published" && h("span", { class: "badge" }, t("Change")),
  );
