import { client } from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

const PAUSE_MS = 500;
// What visitors will read was written by people and sanitised by the API. It goes into a frame without scripts alone.
const trusted = window.trustedTypes?.createPolicy("console", { createHTML: (html) => html }) ?? { createHTML: (html) => html };

/** Make a frame that shows a post's HTML; scripts and forms never run in it, links open in a new tab. */
export function readingFrame(title) {
  const styles = document.querySelector("link[rel=stylesheet]").href.replace("console.css", "preview.css");
  const frame = h("iframe", { class: "reading", title, sandbox: "allow-same-origin allow-popups allow-popups-to-escape-sandbox" });
  const head = `<!doctype html><base target="_blank"><meta name="color-scheme" content="light dark"><link rel="stylesheet" href="${styles}">`;
  frame.srcdoc = trusted.createHTML(head);
  const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
  const show = async (html, lang) => {
    await loaded;
    if (!frame.contentDocument?.body) return;
    frame.contentDocument.documentElement.lang = lang;
    frame.contentDocument.body.innerHTML = trusted.createHTML(html);
  };
  return { frame, show };
}

/** Make a preview that follows what is written, half a second after the last letter. */
export function livePreview(text, lang) {
  const { frame, show } = readingFrame(t("Preview"));
  const note = h("p", { class: "hint", "aria-live": "off" });
  let timer;
  let running;
  const render = async () => {
    running?.abort();
    running = new AbortController();
    try {
      const { data } = await client.post("/v1/editor/markdown", { body: { body: text() }, signal: running.signal });
      await show(data.html, lang());
      note.textContent = "";
    } catch (error) {
      if (error.name !== "AbortError") note.textContent = t("The preview will be back when the server can be reached.");
    }
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(render, PAUSE_MS);
  };
  return { element: h("div", { class: "preview" }, note, frame), later, render };
}
