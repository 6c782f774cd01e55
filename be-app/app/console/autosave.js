import { client, etagOf } from "./api.js";
import { report } from "./dom.js";
import { contentOf, differing, requestOf } from "./fields.js";

const PATH = "/v1/editor/posts/{post_id}/working-copy";
const WRITE_AFTER_MS = 2_000;
const MOST_MS = 20_000;
const AGAIN_MS = 15_000;

/** Return the caller's working copy of a post; null where there is none. */
export const readCopy = (id) =>
  client.get(PATH, { path: { post_id: id } }).then(
    ({ data }) => data,
    (error) => {
      if (error.status === 403 || error.status === 404) return null;
      throw error;
    },
  );

/** Return a working copy as the editor has texts: with its version, and with what is known of its files. */
export async function textOfCopy(copy, post) {
  const known = new Map([...post.attachments, ...(post.thumbnail ? [post.thumbnail] : [])].map((file) => [file.id, file]));
  const file = async (id) => known.get(id) ?? (await client.get("/v1/uploads/{upload_id}", { path: { upload_id: id } })).data;
  const ids = [...new Set([...copy.attachments, ...(copy.thumbnail ? [copy.thumbnail] : [])])];
  const files = new Map((await Promise.allSettled(ids.map(file))).flatMap(({ value }) => (value ? [[value.id, value]] : [])));
  const attachments = copy.attachments.flatMap((id) => files.get(id) ?? []); // One that was deleted since is left out.
  const thumbnail = files.get(copy.thumbnail) ?? null;
  const content = contentOf({ ...copy, slug: copy.slug ?? post.slug, attachments, thumbnail });
  return { content, base: copy.baseVersion, at: Date.parse(copy.updatedAt), copy: copy.version };
}

/**
 * Writes what is in an editor to the API's working copy, a moment after the last letter. One request at a time, since
 * each quotes the version that the one before made.
 */
export class Autosave {
  constructor(editor) {
    this.editor = editor;
    this.done = Promise.resolve();
    this.ours = [];
    this.dropped();
  }

  /** Go on from a working copy. */
  found({ content, at, copy }) {
    [this.version, this.at, this.sent] = [copy, at, content];
    this.had(content);
  }

  /** Remember a text of this editor: a working copy that has it is its own, whatever version that has. */
  had(content) {
    this.ours = [...this.ours.slice(-9), content];
  }

  later(pause = WRITE_AFTER_MS) {
    clearTimeout(this.timer);
    if (!this.editor.post.id || this.stopped) return;
    this.due ??= Date.now() + MOST_MS;
    this.timer = setTimeout(() => this.now(), Math.max(0, Math.min(pause, this.due - Date.now())));
  }

  now() {
    clearTimeout(this.timer);
    this.due = null;
    this.done = this.done.then(() => this.write()).catch((error) => this.failed(error));
    return this.done;
  }

  /** Stop until `later` is called, and wait for what is under way. */
  async pause() {
    clearTimeout(this.timer);
    await this.done;
  }

  /** Forget the working copy, which the API drops when the post is saved. */
  dropped() {
    [this.version, this.at, this.sent, this.stopped] = [null, null, null, false];
  }

  /** Return whether the working copy has this content. */
  has(content) {
    return this.version !== null && Boolean(this.sent) && !differing(this.sent, content).length;
  }

  async write() {
    const { post, form, base } = this.editor;
    const path = { post_id: post.id };
    if (this.stopped) return;
    if (!this.editor.dirty()) {
      if (this.version !== null) await client.delete(PATH, { path });
      this.dropped();
      return;
    }
    const content = form.read();
    if (this.has(content)) return;
    this.sent = content;
    this.had(content);
    const body = { ...requestOf(content, post), baseVersion: base };
    try {
      const { data } = await (this.version === null ? client.post(PATH, { path, body }) : client.put(PATH, { path, body, ifMatch: etagOf(this.version) }));
      [this.version, this.at] = [data.version, data.updatedAt];
      this.editor.keepNow();
    } catch (error) {
      if (!["precondition_failed", "working_copy_exists"].includes(error.code)) throw error;
      await this.meet();
    }
  }

  /** Another window of the same person was faster, or a response was lost: have the person choose where texts differ. */
  async meet() {
    const copy = await readCopy(this.editor.post.id);
    if (!copy) {
      this.dropped(); // By another window that saved or discarded its text.
      return this.write();
    }
    const text = await textOfCopy(copy, this.editor.post);
    const own = this.ours.some((content) => !differing(content, text.content).length);
    this.found(text);
    if (own) return this.write();
    this.stopped = true;
    this.editor.elsewhere(text);
  }

  /** Go on with what is in the editor, whatever another window wrote. */
  resume() {
    this.stopped = false;
    return this.now();
  }

  failed(error) {
    this.at = this.sent = null;
    if (error.status === 401) report(error); // The text is kept in this browser; the person can sign in again.
    else if (!error.status || error.status === 429 || error.status >= 500) this.later(AGAIN_MS);
    this.editor.show();
  }
}
