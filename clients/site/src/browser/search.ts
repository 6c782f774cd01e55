// Shows what `?q=` finds, page by page.
import { cards } from "../templates/list.js";
import { TEXTS } from "../texts.js";
import { client, find, lang, show } from "./page.js";

const texts = TEXTS[lang];
const q = new URLSearchParams(location.search).get("q")?.trim();
const status = find("[role=status]");
const more = find<HTMLButtonElement>("#more");
const results = find("#results");
let cursor: string | undefined;
let count = 0;

async function load(): Promise<void> {
  status.textContent = texts.searching;
  try {
    const [categories, { data }] = await Promise.all([
      client.get("/v1/categories"),
      client.get("/v1/search", { query: { q: q!, lang, ...(cursor && { cursor }) } }),
    ]);
    const page = document.createElement("div");
    show(page, cards({ categories: categories.data.items }, lang, data.items));
    results.append(page);
    if (count > 0) page.querySelector<HTMLElement>("a")?.focus(); // The button may be gone.
    count += data.items.length;
    cursor = data.nextCursor ?? undefined;
    more.hidden = !cursor;
    status.textContent = texts.found(count, cursor !== undefined);
  } catch (error) {
    status.textContent = error instanceof Error ? error.message : texts.failed;
  }
}

if (q) {
  find<HTMLInputElement>("#q").value = q;
  document.title = `${q} · ${document.title}`;
  more.onclick = load;
  await load();
}
