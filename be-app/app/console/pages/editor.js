import { categories, client, members } from "../api.js";
import { badge } from "./posts.js";
import { publication } from "./publication.js";
import { chooseVersion } from "../conflict.js";
import { button, form, h, say } from "../dom.js";
import { contentForm } from "../content.js";
import { t, time } from "../i18n.js";
import { discard, keep, kept } from "../local.js";
import { readingFrame } from "../preview.js";
import { go, link, onLeave } from "../router.js";

const EMPTY = { title: "", body: "", excerpt: "", tags: [], slug: "", category: "", thumbnail: null, attachments: [], description: "", canonicalUrl: null, noindex: false, state: "draft", allowed: ["post:update"] };

export async function editorPage({ id }, query) {
  if (!id) {
    const of = query.get("translationOf");
    const original = of && (await client.get("/v1/editor/posts/{post_id}", { path: { post_id: of } })).data;
    const start = original ? { ...EMPTY, category: original.category, tags: original.tags, lang: original.lang === "ko" ? "en" : "ko" } : { ...EMPTY, lang: "ko" };
    return new Editor(start, null, await categories(), await members(), original).page();
  }
  const [{ data, etag }, items, names] = await Promise.all([client.get("/v1/editor/posts/{post_id}", { path: { post_id: id } }), categories(), members()]);
  return data.allowed.includes("post:update") ? new Editor(data, etag, items, names, null).page() : readOnly(data);
}

async function readOnly(post) {
  const { data } = await client.get("/v1/editor/posts/{post_id}/preview", { path: { post_id: post.id } });
  const { frame, show } = readingFrame(t("Preview"));
  show(data.html, post.lang);
  return [h("h2", {}, post.title), h("p", {}, badge(post), " ", link(`/posts/${post.id}/history`, t("History"))), frame];
}

/** A post being written: what the API has of it, and what is in the form. */
class Editor {
  constructor(post, etag, items, names, original) {
    this.post = post;
    this.etag = etag;
    this.names = names;
    this.original = original;
    this.key = post.id ?? `new${original ? `:${original.id}` : ""}`;
    this.form = contentForm(post, items, original);
    this.status = h("p", { class: "saved", role: "status" });
    this.bar = h("div", { class: "bar publication" });
    this.notice = h("div", {});
  }

  page() {
    const found = kept(this.key);
    if (found && JSON.stringify(found.content) !== this.saved()) this.recover(found);
    const aside = kept(`${this.key}:aside`);
    if (aside) this.aside(aside.content);
    const made = form(() => this.save(), this.bar, this.notice, this.form.element);
    made.addEventListener("input", () => this.changed());
    made.addEventListener("keydown", (event) => {
      if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      if (!event.isComposing) made.requestSubmit();
    });
    this.element = made;
    const leave = () => this.keepNow();
    addEventListener("pagehide", leave);
    onLeave(() => {
      leave();
      removeEventListener("pagehide", leave);
    });
    this.refresh();
    return [made];
  }

  saved() {
    return JSON.stringify(this.form.contentOf(this.post));
  }

  dirty() {
    return JSON.stringify(this.form.read()) !== this.saved();
  }

  changed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.keepNow(), 300);
    this.show();
  }

  /** Keep what isn't saved in this browser, or forget what is saved. */
  keepNow() {
    clearTimeout(this.timer);
    if (!this.dirty()) discard(this.key);
    else if (!keep(this.key, { etag: this.etag, content: this.form.read() })) this.full = true;
    this.show();
  }

  /** Put the text into the form that this browser kept, with a way back to what is saved. */
  recover({ content, etag, at }) {
    this.form.write(content);
    // The version that it was written on: if somebody saved meanwhile, saving shows the difference.
    if (etag) this.etag = etag;
    this.notice.replaceChildren(
      h(
        "div", { class: "note status" },
        h("span", {}, t("Your unsaved text of {time} is back.", { time: time(at) })),
        button(t("Discard it"), async () => {
          discard(this.key);
          this.form.write(this.form.contentOf(this.post));
          this.notice.replaceChildren();
          if (this.post.id) await this.reload();
          this.show();
        }),
      ),
    );
  }

  async reload() {
    const { data, etag } = await client.get("/v1/editor/posts/{post_id}", { path: { post_id: this.post.id } });
    this.accept(data, etag);
  }

  /** Take over what the API has now. What is in the form stays. */
  accept(post, etag) {
    [this.post, this.etag] = [post, etag];
    this.refresh();
  }

  /** Save what is in the form; return whether this page goes on with the saved post. */
  async save() {
    const content = this.form.read();
    const body = this.form.request(content, this.post);
    if (!this.post.id) {
      // Sent again after a lost response, it still makes one post.
      this.once ??= { of: JSON.stringify(body), key: crypto.randomUUID() };
      if (this.once.of !== JSON.stringify(body)) this.once = { of: JSON.stringify(body), key: crypto.randomUUID() };
      const translationOf = this.original?.id ?? null;
      const { data } = await client.post("/v1/editor/posts", { body: { ...body, lang: this.form.lang(), translationOf }, idempotencyKey: this.once.key });
      discard(this.key);
      this.post = data;
      await go(`/posts/${data.id}`, { replace: true });
      say(t("Saved."));
      return false; // This page has given way to the new post's.
    }
    if (!(await this.update(body))) return false;
    discard(this.key);
    this.forget();
    say(t("Saved."));
    return true;
  }

  /** Write a revision; return whether what is in the form is what is saved now. */
  async update(body) {
    try {
      const { data, etag } = await client.put("/v1/editor/posts/{post_id}", { path: { post_id: this.post.id }, ifMatch: this.etag, body });
      this.accept(data, etag);
      return true;
    } catch (error) {
      if (error.code !== "precondition_failed") throw error;
      return this.resolve();
    }
  }

  /** Somebody else saved meanwhile: have the person choose. */
  async resolve() {
    this.keepNow();
    const { data, etag } = await client.get("/v1/editor/posts/{post_id}", { path: { post_id: this.post.id } });
    const mine = this.form.read();
    const { data: history } = await client.get("/v1/editor/posts/{post_id}/revisions", { path: { post_id: data.id } });
    const who = this.names.get(history.items[0].createdBy) ?? t("Somebody else");
    const chosen = await chooseVersion(data, mine, who);
    if (!chosen) throw new DOMException("", "AbortError");
    this.accept(data, etag);
    if (chosen === "mine") return this.update(this.form.request(mine, data));
    keep(`${this.key}:aside`, { content: mine });
    this.form.write(this.form.contentOf(data));
    discard(this.key);
    this.aside(mine);
    return false;
  }

  /** Offer the text that gave way to somebody else's. */
  aside(mine) {
    const back = button(t("Bring my text back"), () => {
      this.form.write(mine);
      this.changed();
      this.forget();
    });
    this.notice.replaceChildren(
      h("div", { class: "note status" }, h("span", {}, t("You took the other version.")), back, button(t("Discard it"), () => this.forget())),
    );
  }

  forget() {
    discard(`${this.key}:aside`);
    this.notice.replaceChildren();
  }

  refresh() {
    this.bar.replaceChildren(...publication(this));
    this.show();
  }

  show() {
    const text = this.full ? t("This browser can't keep unsaved text: its storage is full.") : this.dirty() ? t("Unsaved changes, kept in this browser.") : "";
    if (this.status.textContent !== text) this.status.textContent = text;
  }
}
