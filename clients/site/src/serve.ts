// Shows `dist` on this machine, as a host of static sites would: `/ko/search` is the file `ko/search.html`.
import { readFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { extname } from "node:path";
import { redirect } from "./redirects.js";
import { API_URL, SITE_URL } from "./settings.js";

const DIST = new URL("../dist/", import.meta.url);
const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
  ".xml": "application/xml",
  ".txt": "text/plain",
};
const HEADERS = {
  "Cache-Control": "no-cache",
  "Content-Security-Policy": "frame-ancestors 'none'",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Referrer-Policy": "strict-origin-when-cross-origin",
  "X-Content-Type-Options": "nosniff",
};

async function respond(path: string, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(path, SITE_URL); // Without `..`.
  const name = pathname === "/" ? "/index.html" : extname(pathname) in TYPES ? pathname : `${pathname.replace(/\/$/, "")}.html`;
  const body = await readFile(new URL(`.${name}`, DIST)).catch(() => undefined);
  if (body) {
    response.writeHead(200, { ...HEADERS, "Content-Type": TYPES[extname(name)] }).end(body);
    return;
  }
  const location = await redirect(API_URL, path).catch(() => undefined);
  if (location) {
    // Browsers ask again: a post may get its former slug back.
    response.writeHead(308, { ...HEADERS, Location: location }).end();
    return;
  }
  const missing = new URL(pathname.startsWith("/en") ? "en/404.html" : "404.html", DIST);
  response.writeHead(404, { ...HEADERS, "Content-Type": TYPES[".html"] }).end(await readFile(missing));
}

createServer((request, response) => {
  respond(request.url ?? "/", response).catch((error: unknown) => {
    console.error(error);
    response.writeHead(500).end();
  });
}).listen(Number(new URL(SITE_URL).port), "127.0.0.1", () => console.log(`The site is on ${SITE_URL}. Ctrl-C ends it.`));
