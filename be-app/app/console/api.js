import { Client } from "./client/client.js";
import { language, t } from "./i18n.js";
import { OTHERS } from "./words.js";

let prover = () => Promise.reject(new Error());

/** Calls the API; the console's one client. */
export const client = new Client({
  baseUrl: location.origin,
  language,
  stepUp: (factor) => prover(factor),
});

/** Have `ask(factor)` show the person how to prove the second factor. */
export const onStepUp = (ask) => (prover = ask);

/** Who is signed in, and what the policy says that they may do without regard to an object. */
export const caller = { me: null, allowed: new Set() };

export async function identify() {
  const [me, permissions] = await Promise.all([client.get("/v1/auth/me"), client.get("/v1/me/permissions")]);
  caller.me = me.data;
  caller.allowed = new Set(permissions.data.allowed);
}

export const may = (action) => caller.allowed.has(action);

/** Return the ETag of a resource's version, as a change quotes it. */
export const etagOf = (version) => `"${version}"`;

let found = null;

/** Return the names of members by id; none where the caller may not list them. */
export function members() {
  found ??= (async () => {
    const names = new Map();
    if (may("member:list")) {
      for await (const { id, name } of client.items("/v1/members", { query: { limit: 100 } })) names.set(id, name);
    }
    return names;
  })().catch((error) => {
    found = null;
    throw error;
  });
  return found;
}

/** Return who wrote or owns something, for people: a viewer may not know. */
export const authorName = (names, id) =>
  names.get(id) || (OTHERS[id] ? t(OTHERS[id]) : may("member:list") ? t("Former member") : "–");

let listed = null;

/** Return the categories of posts. */
export function categories() {
  listed ??= client.get("/v1/editor/categories").then(({ data }) => data.items);
  listed.catch(() => (listed = null));
  return listed;
}

export const forgetCategories = () => (listed = null);
