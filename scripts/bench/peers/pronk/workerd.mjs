// workers/bench.ts on a local workerd, at the work of `pronk bench`; prints its document.
//
//   node workerd.mjs PACK CHAT_IDS REPS
//
// Clocks stand still in a Worker while it computes, so requests are timed from here: prefill is one
// that makes one token, decode the difference of one that makes 129 and one that makes 1.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  benchDocument,
  benchPrompt,
  DECODE_PROMPT_TOKENS,
  DECODE_STEPS,
  PREFILL_TOKENS,
} from "../../../../dist/src/cli/bench-workload.js";
import { startWorkerd } from "../../../../dist/src/cli/workerd.js";

const REQUEST_LIMIT_MS = 120_000;

const [pack, chatIds, reps] = process.argv.slice(2);
const { vocab_size: vocab } = JSON.parse(readFileSync(join(pack, "manifest.json"), "utf8")).config;
const bucketFolder = mkdtempSync(join(tmpdir(), "pronk-bench-"));

/** Milliseconds of a request for `tokens` tokens. */
async function complete({ url, model }, prompt, tokens) {
  const body = JSON.stringify({
    model,
    prompt,
    max_tokens: tokens,
    temperature: 0,
    ignore_eos: true,
  });
  const started = performance.now();
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
  });
  const { usage, error } = await response.json();
  const ms = performance.now() - started;
  if (usage?.completion_tokens !== tokens) {
    throw new Error(
      `workerd: ${error?.message ?? `${usage?.completion_tokens} of ${tokens} tokens`}`,
    );
  }
  return ms;
}

/** Peak resident set of the workerd processes that this one started, in 10^6 bytes. */
function peakMb() {
  let most = 0;
  for (const thread of readdirSync("/proc/self/task")) {
    const children = readFileSync(`/proc/self/task/${thread}/children`, "latin1");
    for (const pid of children.split(" ").filter(Boolean)) {
      const status = readFileSync(`/proc/${pid}/status`, "latin1");
      if (!/^Name:\s+workerd$/m.test(status)) continue;
      most = Math.max(most, (Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)[1]) * 1024) / 1e6);
    }
  }
  return most;
}

try {
  const figures = { prefill_tps: [], decode_tps: [], cold_ttft_ms: [], rss_mb: [] };
  let kernels;
  for (let rep = 0; rep < Number(reps); rep++) {
    const { url, close } = await startWorkerd("bench", pack, { bucketFolder });
    const worker = { url, model: "bench" };
    try {
      const cold = await complete(worker, chatIds.split(",").map(Number), 1);
      figures.cold_ttft_ms.push(cold);
      if (rep > 0) continue;
      [kernels] = (await (await fetch(`${url}/v1/models`)).json()).data;
      // The first round is a warm-up.
      for (let i = 0; i <= Number(reps); i++) {
        const read = await complete(worker, benchPrompt(PREFILL_TOKENS, vocab, i), 1);
        // Prompts of their own, so that neither finds a part of itself in the cache.
        const prompts = [1, 2].map((n) => benchPrompt(DECODE_PROMPT_TOKENS, vocab, 1000 * n + i));
        const one = await complete(worker, prompts[0], 1);
        const all = await complete(worker, prompts[1], DECODE_STEPS + 1);
        if (i === 0) continue;
        figures.prefill_tps.push((PREFILL_TOKENS * 1000) / read);
        figures.decode_tps.push((DECODE_STEPS * 1000) / (all - one));
      }
      figures.rss_mb.push(peakMb());
    } finally {
      await close();
    }
  }
  const head = {
    peer: "pronk",
    runtime: "workerd",
    kernel: kernels.kernel,
    kernel_reason: kernels.kernel_reason,
    threads: 1,
  };
  process.stdout.write(`${JSON.stringify(benchDocument(head, figures))}\n`);
} finally {
  rmSync(bucketFolder, { recursive: true, force: true });
}
