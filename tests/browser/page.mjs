// In Chromium: the entry for browsers, its modules as they are built, without a bundler.
import { HASH_CTX, hashLogits } from "/dist/src/cli/logits-hash.js";
import { loadModel } from "/dist/src/engine/load-model.js";
import { createEngine } from "/dist/src/platform/browser/index.js";
import { loadKernels } from "/dist/src/platform/browser/kernels.js";
import { openModel } from "/dist/src/platform/browser/open-model.js";
import { createThreads } from "/dist/src/platform/browser/threads.js";
import { yieldTask } from "/dist/src/platform/browser/yield.js";
import { now, randomSeed, wallClock } from "/dist/src/platform/clock.js";

export function answer(setting) {
  return setting.kernel ? hash(setting) : chat(setting);
}

/** What `pronk hash` prints, of one kernel. */
async function hash({ model, kernel, chunk, threads }) {
  const kernels = await loadKernels(kernel);
  const runtime = { kernels, threads: createThreads(), yieldTask, now, wallClock, randomSeed };
  const { input } = await openModel(new URL(model, location.href).href, {
    fetch: fetch.bind(globalThis),
  });
  const { runner, info } = await loadModel(input, runtime, {
    ctx: HASH_CTX,
    slots: 1,
    chunk,
    maxLogits: chunk,
    kernel,
    threads,
    fixedThreads: true,
  });
  const found = await hashLogits(runner, webHasher(), { chunk, batch: 1, yieldTask });
  const used = threads && { threads: info.threads, reason: info.threadsReason };
  runner.dispose();
  return { ...found, kernel: runner.kernel, ...used };
}

async function chat({ model, messages, tokens }) {
  const engine = await createEngine(new URL(model, location.href).href, { ctx: 256, slots: 1 });
  const prompt_ids = engine.tokenizer.encode(engine.template.render(messages), {
    parseSpecial: true,
  });
  const parts = [];
  const generation = engine.stream({ prompt_ids, max_tokens: tokens, temperature: 0 });
  for await (const part of generation) parts.push(part.text);
  const { ids, text } = await generation.result;
  await engine.dispose();
  return { ids, text, streamed: parts.join("") };
}

/** WebCrypto has no incremental hash: all of it is kept, 141 MB. */
function webHasher() {
  const parts = [];
  return {
    update: (bytes) => void parts.push(bytes.slice()),
    async digest() {
      const digest = await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer());
      return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join(
        "",
      );
    },
  };
}
