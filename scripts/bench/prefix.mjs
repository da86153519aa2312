// How soon the first token comes where the beginning of a prompt is known: the second turn of a conversation,
// and a snapshot read from a file, beside the first turn; with identical output.
//
//   npm run bench -- prefix [MODEL] [--tokens N] [--rounds N] [--core N] [--json] [--write]
//
// On this Node; with --write on this one and the newer one, and the page's section is made anew.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { benchPrompt, spreadOf } from "../../dist/src/cli/bench-workload.js";
import { createEngine } from "../../dist/src/engine/create-engine.js";
import { createRuntime, loadNamedModel } from "../../dist/src/platform/host/create-engine.js";
import { nodeHost } from "../../dist/src/platform/node/host.js";
import { measureOnNodes } from "./on-nodes.mjs";
import { writeSection } from "./page.mjs";
import { prefixTables } from "./prefix-report.mjs";

/** Of a second turn: what the model said, and what is said to it. */
const ANSWER = 24;
const QUESTION = 20;
const TOKENS = 16;

/** Tokens of a prompt after which kernels are optimized. */
const WARM_UP = 400;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tokens: { type: "string", default: "1000" },
    rounds: { type: "string", default: "3" },
    core: { type: "string" },
    pinned: { type: "boolean" },
    json: { type: "boolean" },
    write: { type: "boolean" },
  },
});
const length = Number(values.tokens);

if (values.pinned) await measure();
else {
  const document = measureOnNodes(import.meta.url, { core: values.core, all: values.write });
  if (values.write) for (const path of writeSection("prefix", document)) console.error(path);
  console.log(values.json ? JSON.stringify(document) : prefixTables(document));
}

async function measure() {
  const name = positionals[0] ?? process.env.PRONK_TEST_MODEL ?? "smollm2-135m-instruct";
  const folder = mkdtempSync(join(tmpdir(), "pronk-prefix-"));
  const samples = { first: [], second: [], snapshot: [], second_share: [], snapshot_share: [] };
  let snapshotBytes = 0;
  let info;
  try {
    // The first round warms up.
    for (let round = 0; round <= Number(values.rounds); round++) {
      const engine = await open(name);
      info = engine.info;
      // Optimized code for both kinds of batches, as a server has it.
      await ask(engine, benchPrompt(Math.min(WARM_UP, length), info.vocab, 999));
      const prompt = benchPrompt(length, info.vocab, round + 1);
      const first = await ask(engine, prompt, ANSWER);
      const turn = [...prompt, ...first.ids, ...benchPrompt(QUESTION, info.vocab, 5)];
      const second = await ask(engine, turn);
      const file = join(folder, "snapshot");
      writeFileSync(file, await engine.saveSnapshot({ prompt_ids: [...prompt, ...first.ids] }));
      await engine.dispose();

      const other = await open(name);
      await ask(other, benchPrompt(Math.min(WARM_UP, length), info.vocab, 999));
      const from = performance.now();
      const bytes = readFileSync(file);
      await other.loadSnapshot(bytes);
      const loaded = performance.now() - from;
      const restored = await ask(other, turn);
      await other.dispose();
      const fresh = await open(name);
      const computed = await ask(fresh, turn);
      await fresh.dispose();
      for (const { ids } of [second, restored]) {
        if (ids.join() !== computed.ids.join()) throw new Error("other tokens from the cache");
      }
      if (round === 0) continue;
      samples.first.push(first.ms);
      samples.second.push(second.ms);
      samples.snapshot.push(loaded + restored.ms);
      samples.second_share.push(second.ms / first.ms);
      samples.snapshot_share.push((loaded + restored.ms) / first.ms);
      snapshotBytes = bytes.length;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  const head = {
    model: info.id,
    runtime: `Node ${process.versions.node}`,
    kernel: info.kernel,
    kernel_reason: info.kernelReason,
    tokens: length,
    rounds: Number(values.rounds),
    snapshot_bytes: snapshotBytes,
  };
  const spreads = Object.entries(samples).map(([name, list]) => [name, spreadOf(list)]);
  console.log(JSON.stringify({ ...head, ...Object.fromEntries(spreads) }));
}

async function open(name) {
  const runtime = await createRuntime(nodeHost, "auto");
  const options = { ctx: Math.ceil((length + 100) / 8) * 8, slots: 2, speculate: "off" };
  const model = await loadNamedModel(nodeHost, name, runtime, options);
  return createEngine(model, runtime, { speculate: "off" });
}

/** Milliseconds to the first token, and all tokens. */
async function ask(engine, prompt_ids, max_tokens = TOKENS) {
  const from = performance.now();
  let ms = 0;
  const ids = [];
  const request = { prompt_ids, max_tokens, temperature: 0, ignore_eos: true };
  for await (const { token } of engine.stream(request)) {
    if (ids.length === 0) ms = performance.now() - from;
    ids.push(token);
  }
  return { ms, ids };
}
