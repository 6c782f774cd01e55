// Shows the revision of a preview link, whose token is the address's fragment: no server's log has it.
import { Problem } from "@familycorp/client";
import { previewPath } from "../site.js";
import { article } from "../templates/post.js";
import { TEXTS } from "../texts.js";
import { apiUrl, client, find, lang, show } from "./page.js";

const texts = TEXTS[lang];
const status = find("[role=status]");
const previewToken = location.hash.slice(1);

/** Where a file of the revision is, for a minute. */
async function locate(id: string, variant: "original" | "thumbnail.jpg"): Promise<string> {
  const path = { attachment_id: id };
  const { data } = await client.get("/v1/preview/attachments/{attachment_id}", { path, query: { variant }, previewToken });
  return data.url;
}

function report(error: unknown): void {
  if (!(error instanceof Problem)) throw error;
  status.textContent = error.status === 404 || error.status === 422 ? texts.previewMissing : error.message;
}

async function load(): Promise<void> {
  const { data: post } = await client.get("/v1/preview", { previewToken });
  if (post.lang !== lang) {
    location.replace(previewPath(post.lang) + location.hash);
    return;
  }
  const { data } = await client.get("/v1/categories");
  show(find("#post"), article({ apiUrl, categories: data.items }, post, true));
  status.textContent = texts.previewNote;
  for (const image of document.querySelectorAll<HTMLImageElement>("img[data-src]")) {
    image.src = await locate(image.dataset.src!, "thumbnail.jpg");
  }
  for (const link of document.querySelectorAll<HTMLAnchorElement>("a[data-href]")) {
    link.href = "#";
    link.onclick = (event) => {
      event.preventDefault();
      locate(link.dataset.href!, "original").then((url) => location.assign(url), report);
    };
  }
}

await load().catch(report);
