import { html } from "../html.js";
import { type Language, other, type Page, previewPath, type Site } from "../site.js";
import { TEXTS } from "../texts.js";

/** What a preview link opens; `browser/preview.ts` fills it. */
export const preview = (_: Site, lang: Language): Page => {
  const texts = TEXTS[lang];
  return {
    lang,
    path: previewPath(lang),
    title: texts.preview,
    translation: previewPath(other(lang)),
    script: "preview",
    noindex: true,
    head: html`
  <meta name="referrer" content="no-referrer">`,
    main: html`
<noscript><p>${texts.script}</p></noscript>
<p role="status" class="note">${texts.preview}</p>
<div id="post"></div>`,
  };
};
