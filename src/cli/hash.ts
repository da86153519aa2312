/** pronk hash: one hash over a model's logits, here or on other runtimes. */
import { createHash } from "node:crypto";
import { NUMBERS_VERSION } from "../backends/wasm/numbers-version.ts";
import type { LoadOptions } from "../engine/load-model.ts";
import { PronkError } from "../errors.ts";
import { choiceOption, flagOption, integerOption, UsageError } from "./arguments.ts";
import { type CommandLine, commandLineOn, ownCommandLine, runChild } from "./child.ts";
import type { Arguments, CliContext, Command } from "./command.ts";
import {
  HASH_CTX,
  HASH_PROMPT_TOKENS,
  type Hasher,
  hashLogits,
  hashRows,
  type LogitsHash,
} from "./logits-hash.ts";
import {
  JSON_OPTION,
  loadForCommand,
  MODEL_OPTIONS,
  modelOptions,
  threadsOf,
} from "./model-options.ts";
import { hashOnWorkerd } from "./workerd-hash.ts";

const RUNTIMES = ["node", "deno", "bun", "workerd", "all"] as const;

/** 716 positions one by one on the slowest runtime take about ten seconds, a first load more. */
const CHILD_TIMEOUT_MS = 300_000;

const DEFAULT_CHUNK = 64;

/** What is printed, once a runtime. */
export interface HashDocument extends LogitsHash {
  readonly runtime: string;
  readonly version: string;
  readonly kernel: string;
  /** Of the numbers: the same version, form and KV cache type give the same hash. */
  readonly numbers_version: string;
  /** Bits of a vector: 128, or 256 where V8 joins them. */
  readonly simd_width: 128 | 256;
  readonly threads: number;
  /** Of the prompt. */
  readonly positions: number;
  readonly chunk: number;
  readonly batch: number;
  readonly speculate: boolean;
}

/** How the same logits are computed. */
export type HashSizes = Pick<HashDocument, "positions" | "chunk" | "batch" | "speculate">;

export const hash: Command = {
  name: "hash",
  group: "This machine",
  summary: "hash a model's logits: the same on every runtime, kernel, chunk and batch",
  examples: [
    {
      line: "pronk hash",
      does: "one hash over logits: the same here as on any runtime and CPU",
    },
    {
      line: "pronk hash --runtime all",
      does: "on Node, Deno, Bun and workerd, to compare",
    },
  ],
  positionals: "[MODEL]",
  maxPositionals: 1,
  options: {
    runtime: { type: "string", value: "R", help: `${RUNTIMES.join("|")}: start that runtime` },
    positions: {
      type: "string",
      value: "N",
      help: `of the prompt, default ${HASH_PROMPT_TOKENS}: fewer are quicker, and another hash`,
    },
    chunk: { type: "string", value: "N", help: "positions of the prompt at a time, default 64" },
    batch: { type: "string", value: "N", help: "the same sequence in N slots, all to be equal" },
    speculate: { type: "boolean", help: "run the steps ahead, with right and wrong proposals" },
    ...MODEL_OPTIONS,
    ...JSON_OPTION,
  },
  async run(input, cli): Promise<void> {
    if (input.values.ctx !== undefined) throw new UsageError("--ctx: the hash fixes it");
    const runtime = choiceOption(input, "runtime", RUNTIMES);
    if (runtime === "all" && input.values["simd-width"] !== undefined) {
      throw new UsageError("--simd-width: --runtime all runs Node at each");
    }
    const documents =
      runtime === undefined || (runtime === "node" && cli.host.name === "node")
        ? [await hashHere(input, cli)]
        : await hashOn(runtime, input, cli);
    const single = runtime !== "all";
    if (flagOption(input, "json")) {
      cli.out(`${JSON.stringify(single ? documents[0] : documents)}\n`);
    } else {
      for (const { logits_sha256, runtime: name, version, kernel, ...how } of documents) {
        const wide = how.simd_width > 128 ? ` ${how.simd_width} bits` : "";
        const several = how.threads > 1 ? ` ${how.threads} threads` : "";
        cli.out(`${logits_sha256}  ${name} ${version} ${kernel}${wide}${several}\n`);
      }
    }
    const hashes = new Set(documents.map(({ logits_sha256 }) => logits_sha256));
    if (hashes.size > 1) throw new PronkError("engine_failed", `${hashes.size} different hashes`);
  },
};

async function hashHere(input: Arguments, cli: CliContext): Promise<HashDocument> {
  const how = sizes(input);
  const { model, runtime } = await loadForCommand(input, cli, {
    ctx: HASH_CTX,
    // What is the same everywhere is what the kernels give.
    backend: namedBackend(input) ?? "wasm",
    fixedThreads: true,
    slots: how.batch,
    chunk: hashRows(how),
    maxLogits: hashRows(how),
  });
  try {
    const found = await hashLogits(model.runner, createHasher(), {
      ...how,
      yieldTask: runtime.yieldTask,
      signal: cli.signal,
    });
    const { name, version } = cli.host;
    const { kernel } = model.runner;
    const simd_width = runtime.kernels.vectors?.bits ?? 128;
    const { threads, reason } = threadsOf(model);
    if (reason !== undefined) cli.note(`hash: 1 thread: ${reason}\n`);
    const numbers_version = NUMBERS_VERSION;
    return {
      ...found,
      runtime: name,
      version,
      kernel,
      numbers_version,
      simd_width,
      threads,
      ...how,
    };
  } finally {
    model.runner.dispose();
  }
}

function namedBackend(input: Arguments): LoadOptions["backend"] {
  const { backend } = modelOptions(input);
  return backend === "auto" ? undefined : backend;
}

function sizes(input: Arguments): HashSizes {
  return {
    positions: integerOption(input, "positions", 1, HASH_PROMPT_TOKENS) ?? HASH_PROMPT_TOKENS,
    chunk: integerOption(input, "chunk", 1, 1024) ?? DEFAULT_CHUNK,
    batch: integerOption(input, "batch", 1, 64) ?? 1,
    speculate: flagOption(input, "speculate"),
  };
}

function createHasher(): Hasher {
  const sha256 = createHash("sha256");
  return {
    update: (bytes) => void sha256.update(bytes),
    digest: async () => sha256.digest("hex"),
  };
}

/** One after the other: they would only take each other's processor. */
async function hashOn(
  runtime: (typeof RUNTIMES)[number],
  input: Arguments,
  cli: CliContext,
): Promise<HashDocument[]> {
  if (runtime === "workerd") return [await hashOnWorkerd(input, cli, sizes(input))];
  const lines: [line: CommandLine, ...more: string[]][] = [];
  if (runtime === "all") {
    const node = commandLineOn("node");
    lines.push([ownCommandLine(cli.host)], [node], [node, "--simd-width", "128"]);
    lines.push([commandLineOn("deno")], [commandLineOn("bun")]);
  } else {
    lines.push([commandLineOn(runtime)]);
  }
  const documents: HashDocument[] = [];
  for (const [line, ...more] of lines) {
    cli.note(`hash: ${[line.program, ...more].join(" ")}\n`);
    const out = await runChild(line, ["hash", ...passedOn(input), ...more, "--json"], {
      timeoutMs: CHILD_TIMEOUT_MS,
      signal: cli.signal,
    });
    documents.push(JSON.parse(out));
  }
  if (runtime === "all") {
    cli.note("hash: workerd\n");
    documents.push(await hashOnWorkerd(input, cli, sizes(input)));
  }
  return documents;
}

/** The same arguments, without those that are this process's. */
function passedOn({ positionals, values }: Arguments): string[] {
  const own = ["runtime", "json"];
  const options = Object.entries(values).filter(([name]) => !own.includes(name));
  const typed = options.flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [`--${name}`, String(value)],
  );
  return [...positionals, ...typed];
}
