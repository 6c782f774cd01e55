import type { components, paths } from "./api.js";

export type Schemas = components["schemas"];
export type Method = "get" | "post" | "put" | "delete";

/** Paths of the API that have a method. */
export type PathsWith<M extends Method> = {
  [P in keyof paths]: paths[P] extends { [K in M]: object } ? P : never;
}[keyof paths];

/** The operation of a method and a path. */
export type Operation<M extends Method, P extends PathsWith<M>> = paths[P] extends { [K in M]: infer O } ? O : never;

type PathOf<O> = O extends { parameters: { path: infer T } } ? { path: T } : unknown;
type QueryOf<O> = O extends { parameters: { query: infer T } }
  ? { query: T }
  : O extends { parameters: { query?: infer T } }
    ? [NonNullable<T>] extends [never] ? unknown : { query?: T }
    : unknown;
type BodyOf<O> = O extends { requestBody: { content: { "application/json": infer T } } } ? { body: T } : unknown;
type IfMatchOf<O> = O extends { parameters: { header: { "If-Match": string } } }
  ? { /** The `etag` of the answer that the change starts from. */ ifMatch: string }
  : unknown;
type KeyOf<O> = O extends { parameters: { header?: { "Idempotency-Key"?: unknown } } }
  ? { /** Names one creation however often it is sent; made for each call unless it is given. */ idempotencyKey?: string }
  : unknown;

type TokenOf<O> = O extends { parameters: { header: { "X-Preview-Token": string } } }
  ? { /** The fragment of a preview link, without `#`. */ previewToken: string }
  : unknown;

/** What a call of an operation takes. */
export type Options<O> = PathOf<O> & QueryOf<O> & BodyOf<O> & IfMatchOf<O> & KeyOf<O> & TokenOf<O> & { signal?: AbortSignal };

/** Makes options optional where the operation needs none. */
export type Arguments<O> = {} extends Options<O> ? [options?: Options<O>] : [options: Options<O>];

type Content<R> = R extends { content: infer C } ? (C extends object ? C[keyof C] : undefined) : undefined;

/** What an operation answers: JSON, text, or nothing. */
export type Result<O> = O extends { responses: infer R }
  ? R extends { 200: infer T } ? Content<T> : R extends { 201: infer T } ? Content<T> : undefined
  : never;

/** Paths of lists that are paginated by cursor. */
export type ListPath = {
  [P in PathsWith<"get">]: Result<Operation<"get", P>> extends { items: unknown[]; nextCursor: string | null } ? P : never;
}[PathsWith<"get">];

/** An item of a paginated list. */
export type Item<P extends ListPath> = Result<Operation<"get", P>> extends { items: (infer T)[] } ? T : never;

/** An answer of the API. */
export interface Answer<T> {
  data: T;
  /** The version, to be sent as `ifMatch` with the next change. */
  etag: string | null;
  headers: Headers;
}
