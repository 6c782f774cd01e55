export type { components, operations, paths, ProblemCode } from "./api.js";
export { Client, type ClientOptions, type SecondFactor } from "./client.js";
export { picture, type PictureOptions } from "./picture.js";
export { type Language, Problem } from "./problem.js";
export type { Answer, Item, Schemas } from "./types.js";
export type { Upload, UploadOptions } from "./upload.js";
