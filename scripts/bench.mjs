// Measures.
//
//   npm run bench [-- pronk bench's arguments]      this model, on this Node
//   npm run bench -- kernels [arguments]            every kernel by itself
//   npm run bench -- peers [arguments]              beside what one would use instead, in one run
//   npm run bench -- profile [MODEL]                where the time of a prompt and of a token goes
//   npm run bench -- concurrency [MODEL]            several streams at once beside one
//   npm run bench -- prefix [MODEL]                 second turns and snapshots: the time to the first token
//   npm run bench -- quality [arguments]            every form of a model: perplexity, bytes, speed
//   npm run bench -- check [NAME ...]               whether peers compute the same model
//   npm run bench -- contexts [arguments]           at depths of 128 to 8192 positions
//   npm run bench -- grammar [MODEL]                what structured output costs
//   npm run bench -- isolate [PACK]                  from R2 to the first token in a fresh Worker, beside Node
//   npm run bench -- scaling [arguments]            from 15M to 3B parameters, against the core's limits
//   npm run bench -- stages [arguments]             what dividing a model among isolates or hosts costs
//   npm run bench -- speculation [arguments]        tokens run ahead, on texts that repeat or not
//   npm run bench -- webgpu [MODEL]                 on this machine's GPU, beside what bounds it
//
// Needs the build (npm ci makes it). docs/benchmarks.md says what is measured and how.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const file = (path) => fileURLToPath(new URL(path, import.meta.url));
const [kind, ...rest] = process.argv.slice(2);
const ours = {
  check: file("./bench/check-peers.mjs"),
  concurrency: file("./bench/concurrency.mjs"),
  contexts: file("./bench/contexts.mjs"),
  grammar: file("./bench/grammar.mjs"),
  isolate: file("./bench/isolate.mjs"),
  kernels: file("./bench/kernels.mjs"),
  peers: file("./bench/peers.mjs"),
  prefix: file("./bench/prefix.mjs"),
  profile: file("./bench/profile.mjs"),
  quality: file("./bench/quality.mjs"),
  scaling: file("./bench/scaling.mjs"),
  speculation: file("./bench/speculation.mjs"),
  stages: file("./bench/stages.mjs"),
  webgpu: file("./bench/webgpu.mjs"),
};
const args = Object.hasOwn(ours, kind)
  ? [ours[kind], ...rest]
  : [file("../dist/src/cli/main.js"), "bench", ...process.argv.slice(2)];
const { status, signal } = spawnSync(process.execPath, args, { stdio: "inherit" });
if (signal) console.error(`bench: ended by ${signal}`);
process.exitCode = status ?? 1;
