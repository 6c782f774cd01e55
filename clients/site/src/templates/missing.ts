import { html } from "../html.js";
import { type Language, other, type Page, type Site } from "../site.js";
import { TEXTS } from "../texts.js";

/** What a visitor gets for an address without a page. */
export const missing = (_: Site, lang: Language): Page => {
  const texts = TEXTS[lang];
  return {
    lang,
    path: `/${lang}/404`,
    title: texts.missing,
    translation: `/${other(lang)}`,
    noindex: true,
    main: html`
<h1>${texts.missing}</h1>
<p>${texts.missingHelp}</p>
<p><a href="/${lang}">${texts.home}</a></p>`,
  };
};
