import { html } from "../html.js";
import { type Language, other, type Page, type Site } from "../site.js";
import { TEXTS } from "../texts.js";

type Field = keyof (typeof TEXTS)["ko"]["fields"];

/** The inquiry form, which `browser/inquiry.ts` sends. */
export const inquiry = (site: Site, lang: Language): Page => {
  const texts = TEXTS[lang];
  const { terms } = texts;
  const label = (name: Field, required: boolean) =>
    html`<label for="${name}">${texts.fields[name]} <small>(${required ? texts.required : texts.optional})</small></label>`;
  const described = (name: Field) => html`id="${name}" name="${name}" aria-describedby="${name}-error"`;
  const error = (name: Field) => html`<p class="error" id="${name}-error"></p>`;
  const input = (name: Field, required: boolean, autocomplete: string) => html`
  ${label(name, required)}
  <input ${described(name)} type="${name === "email" ? "email" : "text"}" autocomplete="${autocomplete}"${required && html` aria-required="true"`}>
  ${error(name)}`;
  const { retentionDays, items } = site.inquiries;
  return {
    lang,
    path: `/${lang}/inquiry`,
    title: texts.inquiry,
    translation: `/${other(lang)}/inquiry`,
    script: "inquiry",
    main: html`
<h1>${texts.inquiry}</h1>
<noscript><p>${texts.script}</p></noscript>
<div id="summary" role="alert"></div>
<form id="inquiry" novalidate>
  ${input("name", true, "name")}
  ${input("email", true, "email")}
  ${input("company", false, "organization")}
  ${items.length > 0 && html`
  ${label("category", false)}
  <select ${described("category")}>
    <option value="" data-days="${retentionDays}">${texts.anyCategory}</option>${items.map((item) => html`
    <option value="${item.slug}" data-days="${item.retentionDays ?? retentionDays}">${item.name[lang]}</option>`)}
  </select>
  ${error("category")}`}
  ${input("subject", true, "off")}
  ${label("message", true)}
  <p id="sensitive">${texts.sensitive}</p>
  <textarea id="message" name="message" rows="8" aria-required="true" aria-describedby="sensitive message-error"></textarea>
  ${error("message")}
  <p class="trap" aria-hidden="true"><label>Website <input name="website" tabindex="-1" autocomplete="off"></label></p>
  <section aria-labelledby="terms">
    <h2 id="terms">${terms.title}</h2>
    <dl>
      <dt>${terms.purpose[0]}</dt><dd>${terms.purpose[1]}</dd>
      <dt>${terms.items[0]}</dt><dd>${terms.items[1]}</dd>
      <dt>${terms.period[0]}</dt><dd id="period">${terms.period[1](retentionDays)}</dd>
      <dt>${terms.refusal[0]}</dt><dd>${terms.refusal[1]}</dd>
    </dl>
  </section>
  <p><input ${described("consent")} type="checkbox" aria-required="true"> <label for="consent">${texts.fields.consent} <small>(${texts.required})</small></label></p>
  ${error("consent")}
  <button type="submit">${texts.send}</button>
</form>`,
  };
};
