// Writes src/api.ts: the types of docs/openapi.json, and the codes of its problems.
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const contract = new URL("../../docs/openapi.json", import.meta.url);
const { paths } = JSON.parse(await readFile(contract, "utf8"));
const responses = Object.values(paths).flatMap(Object.values).flatMap(({ responses }) => Object.values(responses));
const codes = responses.flatMap(({ content }) => Object.keys(content?.["application/problem+json"]?.examples ?? {}));
const union = [...new Set(codes)].sort().map((code) => `  | "${code}"`).join("\n");
await writeFile(
  new URL("src/api.ts", import.meta.url),
  `${astToString(await openapiTS(contract))}\n/** Codes of the problems that this version of the API documents. */\nexport type ProblemCode =\n${union};\n`,
);
