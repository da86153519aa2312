/** pronk serve: the HTTP API over one model. */
import { type ErrorCode, PronkError } from "../errors.ts";
import type { HttpServer } from "../platform/host/host.ts";
import { responseFolder } from "../platform/host/response-folder.ts";
import {
  createApp,
  jsonLogLine,
  memoryResponseCache,
  parseApiKeys,
  type ResponsesOptions,
  textLogLine,
} from "../server/app.ts";
import type { LogEntry } from "../server/context.ts";
import { choiceOption, flagOption, integerOption, textOption, UsageError } from "./arguments.ts";
import type { Arguments, CliContext, Command } from "./command.ts";
import { LORA_SERVE_OPTIONS } from "./lora-options.ts";
import {
  CONTEXT_SHIFT_OPTION,
  engineForCommand,
  MODEL_OPTIONS,
  SPECULATE_OPTIONS,
} from "./model-options.ts";
import { QUOTA_OPTIONS, quotaOptions } from "./quota-options.ts";
import { createServedEngine } from "./served-engine.ts";
import { loadSnapshots, SNAPSHOT_OPTION } from "./snapshot-option.ts";

/** What a damaged copy of a model fails with, or storage that is down. */
const REPAIRABLE: readonly ErrorCode[] = ["corrupt", "bad_format", "not_found", "source_failed"];

const LOGS = ["json", "text", "failures"] as const;
const METRICS = ["key", "public", "off"] as const;

const DEFAULT_PORT = 8787;
const DEFAULT_HOST = "127.0.0.1";

export const serve: Command = {
  name: "serve",
  summary: "serve the OpenAI-compatible HTTP API",
  positionals: "[MODEL]",
  maxPositionals: 1,
  options: {
    port: { type: "string", value: "N", help: `default: PORT, else ${DEFAULT_PORT}` },
    host: { type: "string", value: "ADDRESS", help: `default: HOST, else ${DEFAULT_HOST}` },
    slots: { type: "string", value: "N", help: "sequences at a time, default 4; 1 with --budget" },
    queue: { type: "string", value: "N", help: "requests that wait at most; default 64" },
    responses: {
      type: "string",
      value: "WHERE",
      help: "memory, none or a folder: where /v1/responses keeps them; default memory",
    },
    ...QUOTA_OPTIONS,
    log: { type: "string", value: "L", help: `${LOGS.join("|")}: on stderr; default failures` },
    metrics: {
      type: "string",
      value: "M",
      help: `${METRICS.join("|")}: GET /metrics; default key`,
    },
    "response-cache": {
      type: "string",
      value: "MB",
      help: "keep answers that a second run would repeat, for the same key",
    },
    ...MODEL_OPTIONS,
    ...SPECULATE_OPTIONS,
    ...CONTEXT_SHIFT_OPTION,
    ...LORA_SERVE_OPTIONS,
    ...SNAPSHOT_OPTION,
  },
  async run(input, cli): Promise<void> {
    const started = performance.now();
    const { env, signal } = cli;
    const slots = integerOption(input, "slots", 1);
    const cacheMb = integerOption(input, "response-cache", 1);
    const maxQueue = integerOption(input, "queue", 0);
    const log = choiceOption(input, "log", LOGS) ?? "failures";
    const keys = env.PRONK_API_KEYS === undefined ? undefined : parseApiKeys(env.PRONK_API_KEYS);
    let isFound = false;
    const served = createServedEngine((onProgress) =>
      engineForCommand(input, cli, {
        slots,
        maxQueue,
        onProgress: ({ phase, loaded, total }) => {
          if (phase !== "load") return;
          isFound = true;
          if (total) onProgress(loaded / total);
        },
      }).then((engine) => loadSnapshots(engine, input)),
    );
    const app = createApp({
      engine: served.get,
      ready: served.ready,
      ...(keys && { auth: { keys } }),
      ...(cacheMb !== undefined && { cache: { store: memoryResponseCache(cacheMb * 1e6) } }),
      allowAdapterLoading: flagOption(input, "allow-lora-loading"),
      responses: responsesOptions(textOption(input, "responses")),
      quota: quotaOptions(input),
      metrics: choiceOption(input, "metrics", METRICS),
      log: (entry) => writeLog(entry, log, cli),
    });
    // Before anything is downloaded: a port that is taken shows at once, and /health answers.
    const server = await listen(input, cli, (request) => app.fetch(request));
    try {
      try {
        const { info, adapters } = await served.load();
        const { id, backend, kernel, ctx, slots: count, threads, threadsReason } = info;
        const several = threads > 1 ? `${threads} threads, ` : "";
        const seconds = ((performance.now() - started) / 1000).toFixed(2);
        cli.out(
          `${id} at ${server.url}/v1, ready in ${seconds} s ` +
            `(${backend} ${kernel}, ${several}${count} x ${ctx} positions)\n`,
        );
        for (const { name, default_scale: scale } of adapters) {
          cli.out(
            `adapter ${name}: ${scale === 0 ? "where a request asks for it" : `at ${scale}`}\n`,
          );
        }
        if (threads === 1 && threadsReason !== undefined) {
          cli.err(`pronk serve: 1 thread: ${threadsReason}\n`);
        }
      } catch (error) {
        if (!isFound || !isRepairable(error)) throw error;
        cli.err(`pronk serve: ${error.message}; requests to ${server.url}/v1 try again\n`);
      }
      await new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
        if (signal.aborted) resolve();
      });
    } finally {
      await server.close();
      await served.dispose();
    }
  },
};

function responsesOptions(where = "memory"): ResponsesOptions {
  if (where === "memory") return {};
  return { store: where === "none" ? false : responseFolder(where) };
}

/** Whether another copy of the same model may do: not what the command line asks for is wrong. */
function isRepairable(error: unknown): error is PronkError {
  return error instanceof PronkError && REPAIRABLE.includes(error.code);
}

/** @throws UsageError when the address cannot be listened on. */
async function listen(
  input: Arguments,
  cli: CliContext,
  handler: (request: Request) => Response | Promise<Response>,
): Promise<HttpServer> {
  const hostname = textOption(input, "host") ?? (cli.env.HOST || DEFAULT_HOST);
  const named = integerOption(input, "port", 0, 65535);
  const port = named ?? portOf(cli.env.PORT) ?? DEFAULT_PORT;
  try {
    return await cli.host.serve(handler, { hostname, port });
  } catch (cause) {
    const { code, message } = cause as { code?: string; message: string };
    const taken = code === "EADDRINUSE" || /in ?use/i.test(message);
    const why = taken ? "the port is taken; --port chooses another" : message;
    throw new PronkError("source_failed", `${hostname}:${port}: ${why}`, { cause });
  }
}

function portOf(text: string | undefined): number | undefined {
  if (!text) return undefined;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new UsageError(`PORT=${text}: not a port`);
  }
  return port;
}

/** Of failures alone a line is written unless more is asked for: refusals are the client's business. */
function writeLog(entry: LogEntry, log: (typeof LOGS)[number], cli: CliContext): void {
  const { status, error } = entry;
  if (log === "failures" && status < 500 && (status >= 400 || error === undefined)) return;
  cli.err(`${log === "json" ? jsonLogLine(entry) : textLogLine(entry)}\n`);
}
