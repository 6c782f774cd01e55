import { t } from "./i18n.js";

const plain = { empty: "", shown: (value) => value };
const fileNames = (files) => files.map(({ name }) => name).join("\n");

/**
 * Each field of a post's content, as the API's `PostUpdate` has it: what it is called, what a new post has there, and
 * how its value is shown to people. Two texts of a field that is `merged` can be merged line by line.
 */
export const FIELDS = {
  title: { ...plain, label: "Title" },
  body: { ...plain, label: "Text (Markdown)", merged: true },
  category: { ...plain, label: "Category" },
  tags: { empty: [], label: "Tags", shown: (tags) => tags.join(", ") },
  slug: { ...plain, label: "Address (slug)" },
  excerpt: { ...plain, label: "Summary" },
  description: { ...plain, label: "Description for search engines" },
  canonicalUrl: { ...plain, label: "First published at" },
  noindex: { empty: false, label: "Leave out of search engines", shown: (value) => t(value ? "Yes" : "No") },
  thumbnail: { empty: null, label: "Thumbnail", shown: (file) => file?.name ?? "–" },
  attachments: { empty: [], label: "Files", shown: fileNames },
};

const fieldNames = Object.keys(FIELDS);

/** Return the content of a post of the API, or of a new one; what is missing or null there is empty. */
export const contentOf = (post) => Object.fromEntries(fieldNames.map((name) => [name, post[name] ?? FIELDS[name].empty]));

/** Return a content with the ids of its files in place of what is known of them, as requests and comparisons have it. */
export const withIds = (content) => ({
  ...content,
  thumbnail: content.thumbnail?.id ?? null,
  attachments: content.attachments.map(({ id }) => id),
});

/** Return the body of a request that writes a content to a post. */
export const requestOf = (content, post) => ({
  ...withIds(content),
  slug: content.slug && content.slug !== post.slug ? content.slug : null,
  canonicalUrl: content.canonicalUrl || null,
});

/** Return the names of the fields in which two contents differ. */
export function differing(one, other) {
  const [a, b] = [withIds(one), withIds(other)];
  return fieldNames.filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]));
}
