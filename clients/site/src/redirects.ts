/**
 * Look up where a path leads that the site has no page for: a post's former slug, or an address of an earlier site.
 * `path` is as the visitor sent it, with its query. A host that runs code for such paths can use this as it is.
 */
export async function redirect(apiUrl: string, path: string): Promise<string | undefined> {
  const slug = /^\/(?:ko|en)\/posts\/([^/?]+)$/.exec(path)?.[1];
  if (slug === undefined) {
    const found = await fetch(`${apiUrl}/v1/redirects?${new URLSearchParams({ path })}`, { redirect: "manual" });
    return found.headers.get("Location") ?? undefined;
  }
  const found = await fetch(`${apiUrl}/v1/posts/${slug}`); // The API redirects former slugs itself.
  if (!found.ok) return undefined;
  const post = (await found.json()) as { lang: string; slug: string };
  const present = `/${post.lang}/posts/${encodeURIComponent(post.slug)}`;
  return present === path ? undefined : present;
}
