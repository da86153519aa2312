/** pronk stage: a part of a model, for fronts on other hosts. */
import { loadStage, planOf } from "../engine/load-stage.ts";
import { openPack } from "../engine/open-pack.ts";
import { SPECULATED_ROWS } from "../engine/speculator.ts";
import { PronkError } from "../errors.ts";
import { createRuntime } from "../platform/host/create-engine.ts";
import { type StageServer, serveStage } from "../platform/host/stage-socket.ts";
import { keepLoaded, StageHost } from "../stages/stage-host.ts";
import {
  MAX_STAGES,
  type PlannedStage,
  planStages,
  type StageOptions,
} from "../stages/stage-plan.ts";
import { integerOption, textOption, UsageError } from "./arguments.ts";
import type { Arguments, CliContext, Command } from "./command.ts";
import { listensHereAlone } from "./cross-site-options.ts";
import { hostnameOf } from "./listening.ts";
import {
  KV_OPTION,
  kvOption,
  openForCommand,
  SIMD_WIDTH_OPTION,
  simdWidthOption,
  WEIGHT_OPTIONS,
} from "./model-options.ts";
import { PUBLIC_KEY_OPTION } from "./signing-options.ts";

const DEFAULT_PORT = 8790;
const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_CTX = 4096;
const DEFAULT_SLOTS = 4;
const DEFAULT_CHUNK = 128;

/** The stage has a memory of its own: all of wasm32's, less what engines may not give. */
const STAGE_BYTES = 3.5 * 2 ** 30;

export const stage: Command = {
  name: "stage",
  group: "Put it online",
  summary: "serve one part of a model to `pronk serve --stages` on another host",
  examples: [
    {
      line: "pronk stage ./pack --part 1/2 --port 8790",
      does: "the first half of a model that is too large for one host",
    },
    {
      line: "pronk serve ./pack --stages ws://first:8790,ws://second:8790",
      does: "the server before both halves",
    },
  ],
  positionals: "[MODEL]",
  maxPositionals: 1,
  options: {
    part: { type: "string", value: "K/N", help: "which part of how many: 1/3" },
    port: { type: "string", value: "N", help: `default: ${DEFAULT_PORT}` },
    host: { type: "string", value: "ADDRESS", help: `default: ${DEFAULT_HOST}` },
    ctx: { type: "string", value: "N", help: `positions of a sequence; default ${DEFAULT_CTX}` },
    slots: { type: "string", value: "N", help: `sequences at a time; default ${DEFAULT_SLOTS}` },
    chunk: { type: "string", value: "N", help: `rows of a batch; default ${DEFAULT_CHUNK}` },
    kv: KV_OPTION,
    ...WEIGHT_OPTIONS,
    ...PUBLIC_KEY_OPTION,
    ...SIMD_WIDTH_OPTION,
  },
  async run(input, cli): Promise<void> {
    const { index, count } = partOption(input);
    const started = performance.now();
    const named = await openForCommand(input, cli);
    try {
      if (!("pack" in named.input)) {
        throw new PronkError(
          "unsupported",
          "stage: only packs are read in parts; pronk pack makes one",
        );
      }
      const { pack } = named.input;
      const { signal } = cli;
      const model = await openPack(pack, signal);
      const plan = planOf(model);
      const slots = integerOption(input, "slots", 1, 256) ?? DEFAULT_SLOTS;
      const asked = integerOption(input, "ctx", 1);
      const most = model.config.max_position_embeddings;
      const ctx = Math.ceil((asked ?? Math.min(DEFAULT_CTX, most)) / 8) * 8;
      if (asked !== undefined && asked > most) {
        throw new UsageError(`--ctx ${asked}: the model has ${most} positions`);
      }
      const maxRows = integerOption(input, "chunk", 1, 4096) ?? DEFAULT_CHUNK;
      const sizes: StageOptions = {
        ctx,
        slots,
        maxRows: Math.max(slots, maxRows),
        maxLogits: Math.min(Math.max(slots, maxRows), slots + SPECULATED_ROWS),
        kv: kvOption(input) ?? model.facts.quantization.kv,
      };
      const { stages } = planStages({ plan, tensors: model.tensors }, sizes, {
        stageBytes: STAGE_BYTES,
        count,
      });
      if (stages.length !== count) {
        const found = `the model takes ${stages.length} parts of at most 3.5 GiB`;
        throw new UsageError(`--part: ${found}`);
      }
      const own = stages[index - 1];
      const runtime = await createRuntime(cli.host, simdWidthOption(input));
      const hosted = keepLoaded(() =>
        loadStage(pack, { part: own.part, sizes }, runtime, { signal }),
      );
      await hosted();
      const server = await listen(input, cli, new StageHost(hosted));
      if (!cli.env.PRONK_STAGE_KEY && !listensHereAlone(input, cli)) {
        cli.note(
          `pronk stage: warning: listens on ${hostnameOf(input, cli)} without a key: whoever reaches it may use it; ` +
            "PRONK_STAGE_KEY, here and in the front, sets it\n",
        );
      }
      const seconds = ((performance.now() - started) / 1000).toFixed(2);
      cli.out(
        `part ${index} of ${count} at ${server.url}, ready in ${seconds} s (${describe(own)})\n`,
      );
      try {
        await new Promise<void>((resolve) => {
          signal.addEventListener("abort", () => resolve(), { once: true });
          if (signal.aborted) resolve();
        });
      } finally {
        await server.close();
        (await hosted()).stage.dispose();
      }
    } finally {
      await named.close();
    }
  },
};

function partOption(input: Arguments): { readonly index: number; readonly count: number } {
  const text = textOption(input, "part");
  const [index, count] =
    /^([1-9]\d?)\/([1-9]\d?)$/
      .exec(text ?? "")
      ?.slice(1)
      .map(Number) ?? [];
  if (index !== undefined && count !== undefined && index <= count && count <= MAX_STAGES) {
    return { index, count };
  }
  throw new UsageError(`--part ${text ?? ""}: which of how many, as 1/3`);
}

async function listen(input: Arguments, cli: CliContext, host: StageHost): Promise<StageServer> {
  const hostname = hostnameOf(input, cli);
  const port = integerOption(input, "port", 0, 65535) ?? DEFAULT_PORT;
  try {
    return await serveStage(host, { hostname, port }, cli.env.PRONK_STAGE_KEY || undefined);
  } catch (cause) {
    const { message } = cause as Error;
    throw new PronkError("source_failed", `${hostname}:${port}: ${message}`, { cause });
  }
}

function describe({ part, memory }: PlannedStage): string {
  const words = Object.entries(part)
    .filter(([, { from, to }]) => to > from)
    .map(([what, { from, to }]) => `${what} ${from} to ${to - 1}`);
  return `${words.join(", ")}: ${(memory.total / 1e6).toFixed(1)} MB`;
}
