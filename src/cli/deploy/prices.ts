/** What Cloudflare asks, in US dollars, and what a model costs at these prices. */

/**
 * Workers Paid and R2's standard storage as of November 2026.
 * Source: developers.cloudflare.com/workers/platform/pricing, /durable-objects/platform/pricing and /r2/pricing.
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
  /** A Durable Object that is awake has 128 MB, whatever it uses; beyond 400,000 GB-s a month. */
  objectsPerMillionGbSeconds: 12.5,
  objectGb: 0.128,
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
  /** What is read when all isolates of the deployment start. */
  readonly readsPerStart: number;
  readonly perStart: number;
  readonly perUpload: number;
  readonly storagePerMonth: number;
  /** Of the Durable Objects, while they are awake; null where there are none. */
  readonly objectsPerHour: number | null;
  /** Tokens of output for which the plan's own CPU lasts a month. */
  readonly includedOutputTokens: number;
}

/** What is stored and read. */
export interface PackUse {
  /** Of the pack: shards and the tokenizer. R2's binding streams each in one read. */
  readonly objects: number;
  readonly bytes: number;
  /** Of R2, when every isolate of the deployment starts. */
  readonly readsPerStart: number;
  /** Durable Objects that are awake while somebody asks. */
  readonly engines: number;
}

export function costOf(cpu: CpuFigures, { objects, bytes, readsPerStart, engines }: PackUse): Cost {
  const gbSeconds = engines * PRICES.objectGb * 3600;
  const perMs = PRICES.cpuPerMillionMs / 1e6;
  return {
    cpu,
    per1000OutputTokens: 1000 * cpu.outputMs * perMs,
    per1000PromptTokens: 1000 * cpu.promptMs * perMs,
    readsPerStart,
    perStart: (readsPerStart * PRICES.readsPerMillion) / 1e6,
    perUpload: ((objects + MANIFEST_WRITES) * PRICES.writesPerMillion) / 1e6,
    storagePerMonth: (bytes / 1e9) * PRICES.storagePerGb,
    objectsPerHour: engines === 0 ? null : (gbSeconds * PRICES.objectsPerMillionGbSeconds) / 1e6,
    includedOutputTokens: Math.floor(PRICES.includedCpuMs / cpu.outputMs),
  };
}

/** Its size, then its bytes. */
export const MANIFEST_READS = 2;

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
