import { html } from "../html.js";
import { type Language, other, type Page, type Site } from "../site.js";
import { TEXTS } from "../texts.js";

/** The search, which `browser/search.ts` fills. */
export const search = (_: Site, lang: Language): Page => {
  const texts = TEXTS[lang];
  return {
    lang,
    path: `/${lang}/search`,
    title: texts.search,
    translation: `/${other(lang)}/search`,
    script: "search",
    noindex: true,
    main: html`
<h1>${texts.search}</h1>
<noscript><p>${texts.script}</p></noscript>
<p role="status"></p>
<div id="results"></div>
<button type="button" id="more" hidden>${texts.more}</button>`,
  };
};
