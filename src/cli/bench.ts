/** pronk bench: speed and memory of one model on this runtime, medians over repetitions. */
import type { Engine } from "../engine/engine.ts";
import { PronkError } from "../errors.ts";
import { peakResidentBytes, peakResidentBytesOf } from "../platform/host/peak-memory.ts";
import { flagOption, integerOption, textOption, UsageError } from "./arguments.ts";
import { measureContexts } from "./bench-contexts.ts";
import {
  BENCH_CTX,
  type BenchHead,
  type BenchSamples,
  benchDocument,
  benchPrompt,
  COLD_QUESTION,
  CONTEXT_STEPS,
  contextsDocument,
  DECODE_PROMPT_TOKENS,
  DECODE_STEPS,
  PREFILL_TOKENS,
  spreadOf,
} from "./bench-workload.ts";
import type { Arguments, CliContext, Command } from "./command.ts";
import {
  engineForCommand,
  JSON_OPTION,
  MODEL_OPTIONS,
  SPECULATE_OPTIONS,
} from "./model-options.ts";
import { depthsPicture, speedPicture } from "./pictures/bench-pictures.ts";
import { SVG_OPTION, writePicture } from "./pictures/write-picture.ts";
import { createProgress } from "./progress.ts";

const CHILD_TIMEOUT_MS = 120_000;

/** How measurements are counted on a terminal; gone when they are done. */
const STEPS = { unit: "steps", brief: true } as const;

export const bench: Command = {
  name: "bench",
  group: "This machine",
  summary: "measure prefill, decode, cold start and memory",
  examples: [
    {
      line: "pronk bench --reps 1",
      does: "tokens per second, cold start and memory of this machine",
    },
    {
      line: "pronk bench model.gguf --contexts 48,64 --reps 1 --json",
      does: "speed at several depths of the context",
    },
    {
      line: "pronk bench model.gguf --contexts 48,64 --reps 1 --svg bench.svg",
      does: "the same as a picture",
    },
  ],
  positionals: "[MODEL]",
  maxPositionals: 1,
  options: {
    reps: { type: "string", value: "N", help: "repetitions, default 5" },
    contexts: { type: "string", value: "N,N", help: "instead: speed at these depths, 128,4096" },
    ...MODEL_OPTIONS,
    ...SPECULATE_OPTIONS,
    speculate: { ...SPECULATE_OPTIONS.speculate, help: "lookup|off: as of run; default off" },
    ...SVG_OPTION,
    ...JSON_OPTION,
  },
  async run(input, cli): Promise<void> {
    if (input.values.ctx !== undefined) throw new UsageError("--ctx: the bench fixes it");
    const reps = integerOption(input, "reps", 1, 1000) ?? 5;
    const depths = contextDepths(input);
    const ctx = depths ? Math.max(...depths) : BENCH_CTX;
    // Off unless asked for: text without meaning, as it is here, soon repeats itself.
    const engine = await engineForCommand(input, cli, { ctx, slots: 1, speculate: "off" });
    const { kernel, kernelReason } = engine.info;
    const head: BenchHead = {
      peer: "pronk",
      runtime: `${cli.host.name} ${cli.host.version}`,
      kernel,
      kernel_reason: kernelReason,
      threads: engine.info.threads,
    };
    if (!flagOption(input, "json")) {
      cli.out(
        `${head.runtime}, ${head.threads} ${head.threads === 1 ? "thread" : "threads"}, kernels ${kernelReason ?? kernel}\n`,
      );
    }
    try {
      if (depths) await benchContexts(engine, head, depths, reps, input, cli);
      else await benchModel(engine, head, reps, input, cli);
    } finally {
      await engine.dispose();
    }
  },
};

async function benchModel(
  engine: Engine,
  head: BenchHead,
  reps: number,
  input: Arguments,
  cli: CliContext,
): Promise<void> {
  const progress = createProgress(cli);
  let samples: Awaited<ReturnType<typeof takeSamples>>;
  try {
    let loaded = 0;
    samples = await takeSamples(engine, reps, input, cli, () =>
      progress.report({ label: "measuring", loaded: loaded++, total: 3 * reps + 1, ...STEPS }),
    );
  } finally {
    progress.finish();
  }
  const { prefill, decode, cold, rss } = samples;
  const coldMemory = cold.flatMap(({ bytes }) => (bytes === undefined ? [] : [bytes / 1e6]));

  const figures: BenchSamples = {
    prefill_tps: prefill,
    decode_tps: decode,
    cold_ttft_ms: cold.map(({ ms }) => ms),
    ...(coldMemory.length > 0 && { cold_rss_mb: coldMemory }),
    rss_mb: [rss],
  };
  await writePicture(input, () => speedPicture(engine.info.id, withThreads(head, engine), figures));
  if (flagOption(input, "json")) {
    cli.out(`${JSON.stringify(benchDocument(withThreads(head, engine), figures))}\n`);
    return;
  }
  for (const [name, samples] of Object.entries(figures)) {
    const { median, min, max } = spreadOf(samples);
    const spread = `${min.toFixed(1)} to ${max.toFixed(1)}`;
    cli.out(`${name.padEnd(14)} ${median.toFixed(1).padStart(8)}  (${spread})\n`);
  }
  const { threads_reason: reason } = withThreads(head, engine);
  if (reason !== undefined) cli.out(`${"threads".padEnd(14)} ${reason}\n`);
}

/** @param onStep before each of the 3 reps + 1 measurements, outside of what is timed */
async function takeSamples(
  engine: Engine,
  reps: number,
  input: Arguments,
  cli: CliContext,
  onStep: () => void,
): Promise<{ prefill: number[]; decode: number[]; cold: ColdStart[]; rss: number }> {
  const now = (): number => performance.now();
  // The first round is the engine's compiler's.
  onStep();
  await prefillMs(engine, 0, now, cli.signal);
  await decodeMs(engine, now, cli.signal);
  const prefill: number[] = [];
  const decode: number[] = [];
  for (let rep = 1; rep <= reps; rep++) {
    onStep();
    const read = await prefillMs(engine, rep, now, cli.signal);
    prefill.push((PREFILL_TOKENS * 1000) / read);
    onStep();
    decode.push((DECODE_STEPS * 1000) / (await decodeMs(engine, now, cli.signal)));
  }
  const rss = peakResidentBytes() / 1e6;
  const cold: ColdStart[] = [];
  for (let rep = 0; rep < reps; rep++) {
    onStep();
    cold.push(await coldStart(input, cli));
  }
  return { prefill, decode, cold, rss };
}

/** With the threads that were measured to pay. */
function withThreads(head: BenchHead, engine: Engine): BenchHead {
  const { threads, threadsReason } = engine.info;
  const { used = threads, reason = threadsReason } = engine.stats().threads ?? {};
  return { ...head, threads: used, threads_reason: reason };
}

async function benchContexts(
  engine: Engine,
  head: BenchHead,
  depths: readonly number[],
  reps: number,
  input: Arguments,
  cli: CliContext,
): Promise<void> {
  const progress = createProgress(cli);
  let loaded = 0;
  const contexts = await measureContexts(engine, depths, reps, cli.signal, () =>
    progress.report({
      label: "measuring",
      loaded: loaded++,
      total: depths.length * (reps + 1),
      ...STEPS,
    }),
  ).finally(() => progress.finish());
  await writePicture(input, () =>
    depthsPicture(engine.info.id, withThreads(head, engine), contexts),
  );
  if (flagOption(input, "json")) {
    cli.out(`${JSON.stringify(contextsDocument(withThreads(head, engine), contexts))}\n`);
    return;
  }
  cli.out("positions   prefill tok/s    decode tok/s\n");
  for (const { positions, ...figures } of contexts) {
    const [prefill, decode] = [figures.prefill_tps, figures.decode_tps].map((samples) =>
      spreadOf(samples).median.toFixed(1).padStart(16),
    );
    cli.out(`${String(positions).padStart(9)}${prefill}${decode}\n`);
  }
}

/** `128,4096`. @throws UsageError */
function contextDepths(input: Arguments): number[] | undefined {
  const text = textOption(input, "contexts");
  if (text === undefined) return undefined;
  const depths = text.split(",").map(Number);
  if (!depths.every((depth) => Number.isInteger(depth) && depth > CONTEXT_STEPS)) {
    const least = CONTEXT_STEPS + 1;
    throw new UsageError(`--contexts ${text}: not numbers of positions, ${least} or more`);
  }
  return depths.sort((a, b) => a - b);
}

/** From a prompt that no cache knows to its first token. */
async function prefillMs(
  engine: Engine,
  rep: number,
  now: () => number,
  signal: AbortSignal,
): Promise<number> {
  // Another prompt in every round, so that no prefix is reused.
  const prompt_ids = benchPrompt(PREFILL_TOKENS, engine.info.vocab, rep);
  const started = now();
  await engine.generate(
    { prompt_ids, max_tokens: 1, temperature: 0, ignore_eos: true },
    { signal },
  );
  return now() - started;
}

/** 128 steps after the first token. */
async function decodeMs(engine: Engine, now: () => number, signal: AbortSignal): Promise<number> {
  const prompt_ids = benchPrompt(DECODE_PROMPT_TOKENS, engine.info.vocab);
  const request = { prompt_ids, max_tokens: DECODE_STEPS + 1, temperature: 0, ignore_eos: true };
  let first = 0;
  let last = 0;
  for await (const _ of engine.stream(request, { signal })) {
    last = now();
    first ||= last;
  }
  return last - first;
}

interface ColdStart {
  readonly ms: number;
  /** Its peak resident set until then. */
  readonly bytes: number | undefined;
}

/** A process of its own, up to the first bytes that it prints. */
async function coldStart(input: Arguments, cli: CliContext): Promise<ColdStart> {
  const { reps: _, json: __, svg: ___, ...options } = input.values;
  const more = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const args = ["run", ...input.positionals, "--chat", COLD_QUESTION, "--max-tokens", "1", ...more];
  let first: ColdStart | undefined;
  // Loaded only here: what starts other programs is none of the memory that was measured.
  const { ownCommandLine, runChild } = await import("./child.ts");
  await runChild(ownCommandLine(cli.host), args, {
    timeoutMs: CHILD_TIMEOUT_MS,
    signal: cli.signal,
    onFirstOutput: (ms, pid) => {
      first = { ms, bytes: pid === undefined ? undefined : peakResidentBytesOf(pid) };
    },
  });
  if (first === undefined) throw new PronkError("engine_failed", "bench: run printed nothing");
  return first;
}
