import { categories, client, etagOf, may, members } from "../api.js";
import { Autosave, textOfCopy, readCopy } from "../autosave.js";
import { categoryName } from "./posts.js";
import { publication } from "./publication.js";
import { readOnly } from "./reading.js";
import { mergeVersions, showChanges } from "../conflict.js";
import { button, form, h, say } from "../dom.js";
import { contentForm } from "../content.js";
import { contentOf, differing, requestOf, withIds } from "../fields.js";
import { t, time } from "../i18n.js";
import { discard, keep, kept } from "../local.js";
import { Notices } from "../notices.js";
import { go, onLeave } from "../router.js";
import { otherLanguage, versionName } from "../words.js";

const POST = "/v1/editor/posts/{post_id}";
const NEW = { ...contentOf({}), state: "draft", allowed: ["post:update"] };

export async function editorPage({ id }, query) {
  if (!id) return newPage(query.get("translationOf"));
  const copy = may("post:create") ? readCopy(id) : null; // Viewers have none.
  const [{ data }, items, names, found] = await Promise.all([client.get(POST, { path: { post_id: id } }), categories(), members(), copy]);
  if (!data.allowed.includes("post:update")) return readOnly(data);
  return new Editor(data, items, names, null).page(found && (await textOfCopy(found, data)));
}

/** Make the page of a new post; a translation that exists already is shown instead. */
async function newPage(of) {
  const [found, there, items, names] = await Promise.all([
    of && client.get(POST, { path: { post_id: of } }),
    of && client.get("/v1/editor/posts", { query: { translationOf: of, limit: 1 } }),
    categories(),
    members(),
  ]);
  const [existing, original] = [there?.data.items[0], found?.data];
  if (existing) return go(`/posts/${existing.id}`, { replace: true });
  if (!original) return new Editor({ ...NEW, lang: "ko" }, items, names, null).page(null);
  const lang = otherLanguage(original.lang);
  const start = { ...NEW, category: original.category, tags: original.tags, lang };
  return { title: versionName(lang), content: new Editor(start, items, names, original).page(null) };
}

const WARNINGS = {
  alt_missing: "A picture has no alternative text: readers who can't see it learn nothing of it.",
  picture_hotlinked: "A picture comes from another site, which sees who reads and may change it. Upload it instead.",
  picture_address: "The address of a picture leads nowhere. Upload the picture.",
};

/** A post being written: what the API has of it, and what is in the form. */
class Editor {
  constructor(post, items, names, original) {
    this.post = post;
    // The version that what is in the form began with.
    this.base = post.version ?? null;
    this.items = items;
    this.names = names;
    this.original = original;
    this.key = post.id ?? `new${original ? `:${original.id}` : ""}`;
    this.form = contentForm(post, items, original);
    this.form.write(contentOf(post));
    this.clean = this.form.read();
    this.autosave = new Autosave(this);
    this.status = h("p", { class: "saved", role: "status" });
    this.bar = h("div", { class: "bar publication" });
    this.notices = new Notices();
  }

  page(copy) {
    if (copy) this.autosave.found(copy);
    this.recover(copy);
    const aside = kept(`${this.key}:aside`);
    if (aside) this.aside(aside.content);
    const made = form(() => this.save(), this.bar, this.notices.element, this.form.element);
    made.addEventListener("input", () => this.changed());
    made.addEventListener("keydown", (event) => {
      if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      if (!event.isComposing) made.requestSubmit();
    });
    const leave = () => this.keepNow();
    const online = () => this.dirty() && this.autosave.later(0);
    addEventListener("pagehide", leave);
    addEventListener("online", online);
    onLeave(() => {
      leave();
      this.autosave.pause();
      removeEventListener("pagehide", leave);
      removeEventListener("online", online);
    });
    this.refresh();
    if (this.dirty()) this.autosave.later();
    return [made];
  }

  dirty() {
    return differing(this.form.read(), this.clean).length > 0;
  }

  changed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.keepNow(), 300);
    this.autosave.later();
    this.show();
  }

  /** Keep what isn't saved in this browser, or forget what is saved. */
  keepNow() {
    clearTimeout(this.timer);
    const content = this.form.read();
    const { version, stopped } = this.autosave;
    const safe = this.autosave.has(content);
    // While another window has the working copy, this one's text has a place of its own.
    const key = stopped ? `${this.key}:aside` : this.key;
    if (!this.dirty()) discard(key);
    else this.full = !keep(key, { base: this.base, content, copy: version, safe });
    this.show();
  }

  /** Put the newest text that isn't saved into the form: this browser's, or the working copy from anywhere. */
  recover(copy) {
    const local = kept(this.key);
    const texts = [local, copy].filter((found) => found && differing(found.content, this.clean).length);
    // This browser's goes on from a working copy. If that has changed since, both are shown, the newer one first.
    const ahead = local && copy && (local.copy >= copy.copy || !differing(local.content, copy.content).length);
    if (texts.length === 2 && ahead) texts.pop();
    texts.sort((one, other) => other.at - one.at);
    if (texts.length) this.use(texts);
  }

  use([first, second]) {
    this.form.write(first.content);
    this.autosave.had(first.content);
    // If somebody saved since then, saving shows the differences.
    this.base = first.base ?? this.base;
    this.notices.tell(
      "unsaved",
      t("Your unsaved text of {time} is back.", { time: time(first.at) }),
      second && button(t("Show the one of {time}", { time: time(second.at) }), () => {
        this.use([second, first]);
        this.changed();
      }),
      button(t("Discard it"), () => this.discardAll()),
    );
  }

  async discardAll() {
    await this.autosave.pause();
    if (this.post.id) {
      const { data } = await client.get(POST, { path: { post_id: this.post.id } });
      this.form.write(contentOf(data));
      this.accept(data, this.form.read());
    } else this.form.write(this.clean);
    await this.autosave.now(); // Nothing is unsaved now, so that drops the working copy.
    this.keepNow();
    this.notices.clear("unsaved");
  }

  /** Take over what the API has now, and that it has this content. What is in the form stays. */
  accept(post, saved = this.clean) {
    [this.post, this.base, this.clean] = [post, post.version, saved];
    this.refresh();
  }

  /** Save what is in the form; return whether this page goes on with the saved post. */
  async save() {
    const saved = await (this.post.id ? this.update() : this.create());
    if (saved) say(t("Saved."));
    return saved;
  }

  async create() {
    const content = this.form.read();
    const body = requestOf(content, this.post);
    const of = JSON.stringify(body);
    // Sent again after a lost response, it still makes one post.
    if (this.once?.of !== of) this.once = { of, key: crypto.randomUUID() };
    const translationOf = this.original?.id ?? null;
    const { data } = await client.post("/v1/editor/posts", { body: { ...body, lang: this.form.lang(), translationOf }, idempotencyKey: this.once.key });
    discard(this.key);
    this.key = data.id;
    this.accept(data, content);
    await go(`/posts/${data.id}`, { replace: true }); // This page gives way to the new post's.
    say(t("Saved."));
    return false;
  }

  /** Write a revision; return whether what is in the form is what is saved now. */
  async update() {
    await this.autosave.pause();
    const content = this.form.read();
    try {
      const { data } = await client.put(POST, { path: { post_id: this.post.id }, ifMatch: etagOf(this.base), body: requestOf(content, this.post) });
      if (this.autosave.stopped) this.forget();
      this.autosave.dropped();
      if (!this.form.read().slug) this.form.write({ ...this.form.read(), slug: data.slug });
      this.accept(data, { ...content, slug: content.slug || data.slug });
    } catch (error) {
      if (error.code === "precondition_failed") return this.resolve(error);
      this.autosave.later();
      throw error;
    }
    this.keepNow();
    for (const kind of ["unsaved", "elsewhere"]) this.notices.clear(kind);
    if (this.dirty()) this.autosave.later(); // Somebody wrote on meanwhile.
    return true;
  }

  /** Somebody else saved meanwhile: have the person merge both versions, and save the result. */
  async resolve({ differences }) {
    this.keepNow();
    const path = { post_id: this.post.id };
    const [{ data }, { data: history }] = await Promise.all([client.get(POST, { path }), client.get(`${POST}/revisions`, { path })]);
    const [mine, theirs] = [this.form.read(), contentOf(data)];
    const known = this.post.version === this.base ? withIds(contentOf(this.post)) : {};
    const bases = { ...known };
    for (const one of differences) if ("base" in one) bases[one.field] = one.base ?? contentOf({})[one.field];
    const shownCategory = (slug) => categoryName(this.items, slug);
    const who = this.names.get(history.items[0].createdBy) ?? t("Somebody else");
    const merged = await mergeVersions({ mine, theirs, bases, who, shownCategory });
    if (!merged) {
      this.autosave.later();
      throw new DOMException("", "AbortError");
    }
    if (merged.lost) {
      keep(`${this.key}:aside`, { content: mine });
      this.aside(mine);
    }
    this.form.write(merged.content);
    if (differing(merged.content, theirs).length) {
      this.accept(data, theirs);
      return this.update();
    }
    this.accept(data, this.form.read()); // Nothing is left to save, so that drops the working copy.
    await this.autosave.now();
    this.keepNow();
    return false;
  }

  /**
   * Do what needs the newest version of the post. If somebody has changed the post meanwhile, show what, and take their
   * version over where the person wants that; a text that isn't saved stays, and saving it merges.
   */
  async upToDate(action) {
    try {
      return await action();
    } catch (error) {
      if (error.code !== "precondition_failed") throw error;
    }
    const { data } = await client.get(POST, { path: { post_id: this.post.id } });
    const shownCategory = (slug) => categoryName(this.items, slug);
    if (await showChanges({ was: this.post, shown: this.clean, now: data, shownCategory })) {
      if (this.dirty()) this.post = data;
      else {
        this.form.write(contentOf(data));
        this.accept(data, this.form.read());
        this.keepNow();
      }
      this.refresh();
    }
    throw new DOMException("", "AbortError");
  }

  /** Another window of this person has written another text to the working copy. */
  elsewhere({ content, base, at }) {
    this.keepNow();
    this.notices.tell(
      "elsewhere",
      t("Another window or device of yours has another text of this post, of {time}.", { time: time(at) }),
      button(t("Take that text"), () => {
        const mine = this.form.read();
        this.form.write(content);
        this.base = base;
        this.autosave.stopped = false;
        this.notices.clear("elsewhere");
        keep(`${this.key}:aside`, { content: mine });
        this.aside(mine);
        this.keepNow();
      }),
      button(t("Go on with this one"), async () => {
        await this.autosave.resume();
        this.notices.clear("elsewhere");
        this.forget();
        this.keepNow();
      }),
    );
  }

  /** Offer the text that gave way to another one. */
  aside(mine) {
    const back = button(t("Bring my text back"), () => {
      this.form.write(mine);
      this.changed();
      this.forget();
    });
    this.notices.tell("aside", t("Your other text is kept in this browser."), back, button(t("Discard it"), () => this.forget()));
  }

  forget() {
    discard(`${this.key}:aside`);
    this.notices.clear("aside");
  }

  refresh() {
    this.bar.replaceChildren(...publication(this));
    const warnings = this.post.warnings ?? [];
    if (warnings.length) this.notices.tell("warnings", warnings.map(({ code, subject }) => h("div", {}, t(WARNINGS[code]), " ", h("small", {}, subject))));
    else this.notices.clear("warnings");
    this.show();
  }

  show() {
    let text = "";
    if (this.full) text = t("This browser can't keep unsaved text: its storage is full.");
    else if (this.dirty() && this.autosave.at) text = t("Unsaved changes, autosaved at {time}.", { time: time(this.autosave.at) });
    else if (this.dirty()) text = t("Unsaved changes, kept in this browser.");
    if (this.status.textContent !== text) this.status.textContent = text;
  }
}
