// A page in Chromium at the work of `pronk bench`; prints the same document.
//
//   node child.mjs SETTING measure REPS
//   node child.mjs SETTING greedy PROMPT N     prints { ids, text } of a greedy answer
//
// SETTING and PROMPT ({ ids, text }) are JSON; page-contender.mjs makes the first. Every run of a
// page is a fresh browser with an empty profile: a cold start is from its process to the answer.
import { benchDocument } from "../../../dist/src/cli/bench-workload.js";
import { runPage } from "./run-page.mjs";

/** The slowest contender needs 40 s a repetition on a quiet core. */
const START_LIMIT_MS = 60_000;
const REP_LIMIT_MS = 60_000;

const [settingJson, task, argument, count] = process.argv.slice(2);
const { peer, chromium, version, module, mounts, chat, options } = JSON.parse(settingJson);
const run = (setting, limitMs) =>
  runPage({ chromium, mounts, limitMs, setting: { module, ...options, ...setting } });

if (task === "greedy") {
  const setting = { task, ...JSON.parse(argument), tokens: Number(count) };
  const { answer } = await run(setting, START_LIMIT_MS + REP_LIMIT_MS);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
} else {
  const reps = Number(argument);
  const page = await run({ task, reps }, START_LIMIT_MS + (reps + 1) * REP_LIMIT_MS);
  const { prefill, decode, kernel, kernelReason } = page.answer;
  const cold = [];
  for (let rep = 0; rep < reps; rep++) {
    cold.push((await run({ task: "greedy", ...chat, tokens: 1 }, START_LIMIT_MS)).ms);
  }
  const runtime = `chromium ${version}`;
  const head = { peer, runtime, kernel, kernel_reason: kernelReason, threads: 1 };
  const figures = {
    prefill_tps: prefill,
    decode_tps: decode,
    cold_ttft_ms: cold,
    rss_mb: [page.rssMb ?? Number.NaN],
  };
  process.stdout.write(`${JSON.stringify(benchDocument(head, figures))}\n`);
}
