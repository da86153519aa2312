/**
 * A short run of the pack here, as the Worker will run it: what a token costs in CPU, and what the deployed model has to
 * answer to one prompt, since it gives the same tokens everywhere.
 */
import { createEngine } from "../../engine/create-engine.ts";
import type { Engine } from "../../engine/engine.ts";
import { type LoadOptions, loadModel } from "../../engine/load-model.ts";
import { createRuntime } from "../../platform/host/create-engine.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { benchPrompt } from "../bench-workload.ts";
import type { CliContext } from "../command.ts";
import type { CpuFigures } from "./prices.ts";

/** Read twice, the first time for the engine's compiler: 0.7 s for 135M parameters. */
const PROMPT_TOKENS = 128;
const OUTPUT_TOKENS = 32;

/** What the smoke test asks. */
export const SMOKE_PROMPT = "The capital of France is";
export const SMOKE_TOKENS = 8;

export interface Measured {
  readonly cpu: CpuFigures;
  /** The greedy continuation of SMOKE_PROMPT, of SMOKE_TOKENS at most. */
  readonly answer: string;
}

export async function measurePack(
  pack: SourceFolder,
  { id, ctx, kv, slots }: Pick<LoadOptions, "id" | "ctx" | "kv" | "slots">,
  { host, signal }: CliContext,
): Promise<Measured> {
  // Workers have vectors of 128 bits.
  const runtime = await createRuntime(host, 128);
  const model = await loadModel({ pack }, runtime, { id, ctx, kv, slots, chunk: 64, signal });
  const engine = createEngine(model, runtime, { speculate: "off" });
  try {
    const tokens = Math.max(1, Math.min(PROMPT_TOKENS, engine.info.ctx - OUTPUT_TOKENS - 1));
    const output = Math.max(1, Math.min(OUTPUT_TOKENS, engine.info.ctx - tokens - 1));
    const read = (seed: number, max: number): Promise<number> =>
      cpuMs(() => generate(engine, benchPrompt(tokens, engine.info.vocab, seed), max, signal));
    await read(0, output);
    const one = await read(1, 1);
    const all = await read(2, 1 + output);
    const ids = engine.tokenizer.encode(SMOKE_PROMPT);
    const request = { prompt_ids: ids, max_tokens: SMOKE_TOKENS, temperature: 0 };
    const { text } = await engine.generate(request, { signal });
    return {
      answer: text,
      cpu: {
        promptMs: one / (tokens + 1),
        outputMs: Math.max(0.001, (all - one) / output),
        source: `measured here, on ${host.name} ${host.version} with the ${engine.info.kernel} kernels; Cloudflare's CPUs differ`,
      },
    };
  } finally {
    await engine.dispose();
  }
}

async function generate(
  engine: Engine,
  prompt_ids: number[],
  max_tokens: number,
  signal: AbortSignal,
): Promise<void> {
  const request = { prompt_ids, max_tokens, temperature: 0, ignore_eos: true };
  await engine.generate(request, { signal });
}

/** CPU time, not the clock's: what else the machine does is not the model's. */
async function cpuMs(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
