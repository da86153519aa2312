// Prints the speed of forms of one model, as JSON: node speed.mjs MODEL ROUNDS '[{quantization, profile, kv}]'
//
// The runner alone, without engine or sampling: a prompt of 512 tokens in chunks of 64, then 64 steps.
// A round runs every form once, so that what the machine does meanwhile hits all alike.
import {
  benchPrompt,
  DECODE_PROMPT_TOKENS,
  PREFILL_TOKENS,
  spreadOf,
} from "../../../dist/src/cli/bench-workload.js";
import { createRunner, kernel, openForm, openSource } from "./models.mjs";

const STEPS = 64;
const CHUNK = 64;
const [path, rounds, forms] = process.argv.slice(2);
const source = await openSource(path);
const runners = [];
for (const form of JSON.parse(forms)) {
  const { config, entries } = await openForm(source, form);
  const { runner } = await createRunner(config, entries, form.kv, { maxLogits: 1 });
  runners.push({ runner, prefill: [], decode: [] });
}

function prefillMs(runner) {
  const ids = benchPrompt(PREFILL_TOKENS, runner.vocab);
  const start = performance.now();
  for (let at = 0; at < ids.length; at += CHUNK) {
    const isLast = at + CHUNK >= ids.length;
    runner.forward({
      ids: ids.slice(at, at + CHUNK),
      spans: [{ slot: 0, start: at, count: CHUNK }],
      logitsRows: isLast ? [CHUNK - 1] : [],
    });
  }
  return performance.now() - start;
}

function decodeMs(runner) {
  const ids = benchPrompt(DECODE_PROMPT_TOKENS, runner.vocab);
  const run = (part, at) =>
    runner.forward({
      ids: part,
      spans: [{ slot: 0, start: at, count: part.length }],
      logitsRows: [part.length - 1],
    });
  run(ids, 0);
  const start = performance.now();
  for (let step = 0; step < STEPS; step++) run([runner.argmax(0)], ids.length + step);
  return performance.now() - start;
}

for (let round = 0; round <= Number(rounds); round++) {
  for (const { runner, prefill, decode } of runners) {
    const [read, written] = [prefillMs(runner), decodeMs(runner)];
    if (round === 0) continue; // the compiler's
    prefill.push((PREFILL_TOKENS * 1000) / read);
    decode.push((STEPS * 1000) / written);
  }
}
const speeds = runners.map(({ prefill, decode }) => ({
  prefill_tps: spreadOf(prefill),
  decode_tps: spreadOf(decode),
}));
process.stdout.write(JSON.stringify({ kernel: kernel.variant, speeds }));
