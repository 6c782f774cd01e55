import { createHash } from "node:crypto";
import { Html, html } from "../html.js";
import { other, type Page, type Site } from "../site.js";
import { TEXTS } from "../texts.js";

// An import map must be inline, so the policy names its digest. It is what finds the client for `import`.
const IMPORTS = JSON.stringify({ imports: { "@familycorp/client": "/scripts/client/index.js" } });
const DIGEST = createHash("sha256").update(IMPORTS).digest("base64");

/** What pages may load and send, wherever they are hosted; `frame-ancestors` needs a header, which `serve.ts` sends. */
const policy = ({ apiUrl, filesUrl, mediaUrl }: Site) =>
  [
    "default-src 'none'",
    `script-src 'self' 'sha256-${DIGEST}'`,
    "style-src 'self'",
    `img-src 'self' ${[...new Set([apiUrl, filesUrl, mediaUrl])].join(" ")}`,
    `connect-src ${apiUrl} ${filesUrl}`,
    "form-action 'self'",
    "base-uri 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types site",
  ].join("; ");

/** The whole document of a page. */
export function layout(site: Site, page: Page): Html {
  const { lang } = page;
  const texts = TEXTS[lang];
  const home = page.path === `/${lang}`;
  const link = (path: string, text: string) =>
    html`<li><a href="${path}"${path === page.path && html` aria-current="page"`}>${text}</a></li>`;
  return html`<!doctype html>
<html lang="${lang}" data-api="${site.apiUrl}">
<head>
  <meta charset="utf-8">
  <meta http-equiv="Content-Security-Policy" content="${policy(site)}">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${!home && html`${page.title} · `}${texts.name}</title>
  <meta name="description" content="${page.description ?? texts.about}">
  ${page.noindex ? html`<meta name="robots" content="noindex">` : html`<link rel="canonical" href="${page.canonical ?? `${site.siteUrl}${page.path}`}">`}
  ${page.translation && !page.noindex && html`<link rel="alternate" hreflang="${lang}" href="${site.siteUrl}${page.path}">
  <link rel="alternate" hreflang="${other(lang)}" href="${site.siteUrl}${page.translation}">`}
  <meta property="og:site_name" content="${texts.name}">
  <meta property="og:title" content="${page.title}">
  <meta property="og:description" content="${page.description ?? texts.about}">
  <meta property="og:url" content="${site.siteUrl}${page.path}">${page.head}
  <link rel="alternate" type="application/atom+xml" title="${texts.name}" href="${site.apiUrl}/v1/feed.atom?lang=${lang}">
  <link rel="icon" href="/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/site.css">${page.script && html`
  <script type="importmap">${new Html(IMPORTS)}</script>
  <script type="module" src="/scripts/browser/${page.script}.js"></script>`}
</head>
<body>
  <a class="skip" href="#main">${texts.skip}</a>
  <header>
    <a class="name" href="/${lang}">${texts.name}</a>
    <nav aria-label="${texts.menu}">
      <ul>${site.categories.map(({ slug, name }) => link(`/${lang}/categories/${slug}`, name[lang]))}
        ${link(`/${lang}/inquiry`, texts.inquiry)}
      </ul>
    </nav>
    <form role="search" action="/${lang}/search">
      <label class="hidden" for="q">${texts.searchWords}</label>
      <input id="q" name="q" type="search" maxlength="100" autocomplete="off">
      <button type="submit">${texts.search}</button>
    </form>
    <a lang="${other(lang)}" hreflang="${other(lang)}" href="${page.translation ?? `/${other(lang)}`}">${texts.language}</a>
  </header>
  <main id="main" tabindex="-1">${page.main}
  </main>
  <footer>
    <p>© ${texts.name} · <a href="${site.apiUrl}/v1/feed.atom?lang=${lang}">${texts.feed}</a></p>
  </footer>
</body>
</html>
`;
}
