/** What Cloudflare asks, in US dollars, and what a model costs at these prices. */

/**
 * Workers Paid and R2's standard storage as of November 2026.
 * Source: developers.cloudflare.com/workers/platform/pricing and developers.cloudflare.com/r2/pricing.
 */
export const PRICES = {
  date: "2026-11",
  /** The plan, a month. */
  plan: 5,
  /** Per million milliseconds of CPU, beyond those that the plan has. */
  cpuPerMillionMs: 0.02,
  includedCpuMs: 30e6,
  requestsPerMillion: 0.3,
  /** Gets and heads (class B), beyond 10 million a month. */
  readsPerMillion: 0.36,
  /** Puts and lists (class A), beyond a million a month. */
  writesPerMillion: 4.5,
  /** Of storage, a month, beyond 10 GB. Traffic out of R2 costs nothing. */
  storagePerGb: 0.015,
} as const;

/** CPU of a request on the free plan. Source: developers.cloudflare.com/workers/platform/limits. */
export const FREE_PLAN_CPU_MS = 10;

export interface CpuFigures {
  /** Milliseconds of CPU for a token that is read in a prompt. */
  readonly promptMs: number;
  /** For one that is generated. */
  readonly outputMs: number;
  /** How they were found, for people. */
  readonly source: string;
}

export interface Cost {
  readonly cpu: CpuFigures;
  /** Dollars. */
  readonly per1000OutputTokens: number;
  readonly per1000PromptTokens: number;
  /** What one isolate reads when it starts. */
  readonly readsPerStart: number;
  readonly perStart: number;
  readonly perUpload: number;
  readonly storagePerMonth: number;
  /** Tokens of output for which the plan's own CPU lasts a month. */
  readonly includedOutputTokens: number;
}

/** @param objects of the pack: shards and the tokenizer. R2's binding streams each in one read. */
export function costOf(cpu: CpuFigures, objects: number, bytes: number): Cost {
  const perMs = PRICES.cpuPerMillionMs / 1e6;
  const readsPerStart = objects + MANIFEST_READS;
  return {
    cpu,
    per1000OutputTokens: 1000 * cpu.outputMs * perMs,
    per1000PromptTokens: 1000 * cpu.promptMs * perMs,
    readsPerStart,
    perStart: (readsPerStart * PRICES.readsPerMillion) / 1e6,
    perUpload: ((objects + MANIFEST_WRITES) * PRICES.writesPerMillion) / 1e6,
    storagePerMonth: (bytes / 1e9) * PRICES.storagePerGb,
    includedOutputTokens: Math.floor(PRICES.includedCpuMs / cpu.outputMs),
  };
}

/** Its size, then its bytes. */
const MANIFEST_READS = 2;

/** Under its checksum, the list of releases, and as the current one. */
const MANIFEST_WRITES = 3;

/**
 * SmolLM2-135M in Q4_1 on workerd, one core of an AMD EPYC (docs/benchmarks.md, 2026-11-21): 233.3 tokens a second
 * generated, 549.1 read, with 96,986,112 bytes of weights.
 */
const BENCH = { outputMs: 1000 / 233.3, promptMs: 1000 / 549.1, weightBytes: 96_986_112 };

/** By the bytes of the weights, which every token goes through: within 20 % for models of 15M to 3B parameters. */
export function estimatedCpu(weightBytes: number): CpuFigures {
  const scale = weightBytes / BENCH.weightBytes;
  return {
    promptMs: BENCH.promptMs * scale,
    outputMs: BENCH.outputMs * scale,
    source:
      "estimated from SmolLM2-135M on workerd (docs/benchmarks.md) by the bytes of the weights",
  };
}
