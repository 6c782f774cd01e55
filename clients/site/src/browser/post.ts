// Counts the view of a post.
import { client, find } from "./page.js";

const { content } = find<HTMLMetaElement & HTMLElement>("meta[name=post]");
await client.post("/v1/posts/{post_id}/views", { path: { post_id: content } }).catch(() => undefined);
