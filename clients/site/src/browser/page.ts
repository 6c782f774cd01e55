// What scripts of pages share: the API's client, the page's language, and safe ways to change the page.
import { Client, type Language } from "@familycorp/client";
import type { Html } from "../html.js";

export const lang = document.documentElement.lang as Language;
export const apiUrl = document.documentElement.dataset.api!;
export const client = new Client({ baseUrl: apiUrl, language: lang });

interface TrustedTypes {
  createPolicy(name: string, rules: { createHTML: (text: string) => string }): { createHTML(text: string): string };
}
const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
const policy = types?.createPolicy("site", { createHTML: (text) => text });

/** Replace an element's content with what templates made. */
export function show(element: Element, content: Html): void {
  element.innerHTML = policy ? policy.createHTML(content.text) : content.text;
}

export function find<T extends HTMLElement>(selector: string): T {
  return document.querySelector<T>(selector)!;
}
