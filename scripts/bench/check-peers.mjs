// Whether peers compute the same model: their greedy answer to a question has to be ours.
//
//   npm run bench -- check [NAME ...] [--model FILE]
//
// A question whose every step has a clear winner, so that another rounding cannot change it. Peers
// without token ids are judged by their text, and what only runs other weights by what it says in f32.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { textOf } from "./browser/page-contender.mjs";
import { peerNames, refuse } from "./comparison.mjs";
import { MODEL, prepareFiles } from "./model-files.mjs";

const QUESTION = "How many days are in a week?";
const MAX_TOKENS = 16;
const LIMIT_MS = 3 * 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { model: { type: "string", default: MODEL } },
});
const root = fileURLToPath(new URL("../..", import.meta.url));
const names = peerNames();
const unknown = positionals.find((name) => !names.includes(name));
if (unknown) refuse(`${unknown}: no such peer; there are ${names.join(", ")}`);

const { files, chatIds } = await prepareFiles(root, values.model);
const file = files.find(({ given }) => given);
const run = (program, args) =>
  execFileSync(program, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    timeout: LIMIT_MS,
  });
const pronk = join(root, "dist", "src", "cli", "main.js");
const ours = JSON.parse(
  run(process.execPath, [
    ...[pronk, "run", file.pack, "--json", "--chat", QUESTION],
    ...["--temperature", "0", "--max-tokens", `${MAX_TOKENS}`],
  ]),
);
const prompt = JSON.stringify({
  ids: ours.prompt_ids,
  text: textOf(root, file.pack, ours.prompt_ids),
});
console.log(`pronk: ${ours.text}`);

for (const name of names.filter((n) => !positionals.length || positionals.includes(n))) {
  const module = await import(new URL(`./peers/${name}.mjs`, import.meta.url));
  const all = await (module.checks ?? module.contenders)({ root, ...file, chatIds, reps: 1 });
  for (const { name: label, program, greedyArgs } of all.filter((c) => c.greedyArgs)) {
    const { ids, text } = JSON.parse(run(program, [...greedyArgs, prompt, `${MAX_TOKENS}`]));
    const same = ids ? ids.join() === ours.ids.join() : text === ours.text;
    console.log(`${label}: ${same ? "the same" : `DIFFERENT: ${text ?? ""} ${ids ?? ""}`}`);
    if (!same) process.exitCode = 1;
  }
}
