import type { Language, Schemas } from "@familycorp/client";
import type { Html } from "./html.js";

export type { Language };
export type Card = Schemas["PostSummary"];
export type Post = Schemas["PublicPost"];

/** What every page of the site may need. */
export interface Site {
  /** Origins: of the API, of this site, of the bucket (the API redirects there, and it takes uploads), of pictures. */
  readonly apiUrl: string;
  readonly siteUrl: string;
  readonly filesUrl: string;
  readonly mediaUrl: string;
  readonly categories: readonly Schemas["CategoryOut"][];
  readonly inquiries: Schemas["InquiryCategoriesOut"];
}

/** One page in one language. */
export interface Page {
  lang: Language;
  /** Path on the site, such as `/ko/search`; it is written to the file of that name and `.html`. */
  path: string;
  title: string;
  description?: string;
  main: Html;
  /** Address that search engines keep, where it isn't this page's. */
  canonical?: string;
  /** Path of the same page in the other language, where there is one. */
  translation?: string | undefined;
  /** Module of `src/browser` that the page loads, without its ending. */
  script?: string;
  /** Search engines leave the page out, and so does the sitemap. */
  noindex?: boolean;
  /** Tags of its own in the page's head. */
  head?: Html;
}

export const other = (lang: Language): Language => (lang === "ko" ? "en" : "ko");

/** Path of a post, as feeds of the API link to it. */
export const postPath = ({ lang, slug }: { lang: Language; slug: string }) => `/${lang}/posts/${encodeURIComponent(slug)}`;

/** Path of the page of preview links; the API makes links to the first. */
export const previewPath = (lang: Language) => (lang === "ko" ? "/preview" : "/en/preview");

/** Part of a tag's path: its letters and digits. Tags that differ in nothing else share a page. */
export const tagSlug = (tag: string) =>
  tag.normalize("NFC").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");

export const tagPath = (lang: Language, tag: string) => `/${lang}/tags/${encodeURIComponent(tagSlug(tag))}`;

export const day = (lang: Language, instant: string) =>
  new Intl.DateTimeFormat(lang, { dateStyle: "long", timeZone: "Asia/Seoul" }).format(new Date(instant));
