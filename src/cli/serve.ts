/** pronk serve: the HTTP API over one model. */
import { type ErrorCode, PronkError } from "../errors.ts";
import { hostPlayground } from "../platform/host/playground-files.ts";
import { responseFolder } from "../platform/host/response-folder.ts";
import { createApp, memoryResponseCache, type ResponsesOptions } from "../server/app.ts";
import { API_KEYS_OPTION, apiKeysOf } from "./api-keys-option.ts";
import { choiceOption, flagOption, integerOption, textOption } from "./arguments.ts";
import type { Command } from "./command.ts";
import { CROSS_SITE_OPTIONS, crossSiteOptions, listensHereAlone } from "./cross-site-options.ts";
import { hostnameOf, LISTEN_OPTIONS, listen } from "./listening.ts";
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

const METRICS = ["key", "public", "off"] as const;

export const serve: Command = {
  name: "serve",
  group: "Use a model",
  summary: "serve the OpenAI-compatible HTTP API",
  examples: [
    {
      line: "pronk serve",
      does: "the default model at http://127.0.0.1:8787/v1, as OpenAI's API",
    },
    {
      line: "pronk serve model.gguf --port 8080 --slots 2 --threads auto",
      does: "another model and port; two answers at a time, on all cores that help",
    },
    {
      line: "pronk serve --host 0.0.0.0 --api-keys keys.txt --log json",
      does: "for other machines: only with a key, with a log line for each request",
    },
  ],
  positionals: "[MODEL]",
  maxPositionals: 1,
  options: {
    ...LISTEN_OPTIONS,
    slots: { type: "string", value: "N", help: "sequences at a time, default 4; 1 with --budget" },
    queue: { type: "string", value: "N", help: "requests that wait at most; default 64" },
    responses: {
      type: "string",
      value: "WHERE",
      help: "memory, none or a folder: where /v1/responses keeps them; default memory",
    },
    "no-playground": { type: "boolean", help: "no page at /: the API alone" },
    ...API_KEYS_OPTION,
    "share-prefix-cache": {
      type: "boolean",
      help: "keys that trust each other go on from each other's prompts; default: each from its own",
      group: "Who may use it",
    },
    ...CROSS_SITE_OPTIONS,
    ...QUOTA_OPTIONS,
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
    const slots = integerOption(input, "slots", 1);
    const cacheMb = integerOption(input, "response-cache", 1);
    const maxQueue = integerOption(input, "queue", 0);
    const keys = await apiKeysOf(input, cli);
    const crossSite = crossSiteOptions(input, cli, keys !== undefined);
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
    const metrics = choiceOption(input, "metrics", METRICS);
    const hasPage = !flagOption(input, "no-playground");
    // Before anything is downloaded: a port that is taken shows at once, and /health answers.
    const server = await listen(input, cli, (log) =>
      createApp({
        engine: served.get,
        ready: served.ready,
        ...(keys && { auth: { keys } }),
        sharePrefixCache: flagOption(input, "share-prefix-cache"),
        ...crossSite,
        ...(cacheMb !== undefined && { cache: { store: memoryResponseCache(cacheMb * 1e6) } }),
        allowAdapterLoading: flagOption(input, "allow-lora-loading"),
        responses: responsesOptions(textOption(input, "responses")),
        quota: quotaOptions(input),
        metrics,
        ...(hasPage && { playground: hostPlayground(cli.host) }),
        log,
      }),
    );
    if (keys === undefined && !listensHereAlone(input, cli)) {
      server.warn(
        "serve",
        `listens on ${hostnameOf(input, cli)} without keys: whoever reaches it may use it; ` +
          "--api-keys FILE or PRONK_API_KEYS sets them",
      );
    }
    try {
      try {
        const { info, adapters } = await served.load();
        const { id, backend, kernel, ctx, slots: count, threads, threadsReason } = info;
        const { backendReason } = info;
        const several = threads > 1 ? `${threads} threads, ` : "";
        const seconds = ((performance.now() - started) / 1000).toFixed(2);
        cli.out(
          `${id} at ${server.url}/v1, ready in ${seconds} s ` +
            `(${backend} ${kernel}, ${several}${count} x ${ctx} positions)\n`,
        );
        if (hasPage) cli.out(`a page to try it: ${server.url}/\n`);
        for (const { name, default_scale: scale } of adapters) {
          cli.out(
            `adapter ${name}: ${scale === 0 ? "where a request asks for it" : `at ${scale}`}\n`,
          );
        }
        // Silent where nobody asked and nothing is special.
        if (backendReason !== undefined && (backend === "webgpu" || input.values.backend)) {
          cli.note(`pronk serve: backend ${backendReason}\n`);
        }
        if (threads === 1 && threadsReason !== undefined) {
          cli.note(`pronk serve: 1 thread: ${threadsReason}\n`);
        }
      } catch (error) {
        if (!isFound || !isRepairable(error)) throw error;
        cli.err(`pronk serve: ${error.message}; requests to ${server.url}/v1 try again\n`);
      }
      await server.untilStopped();
      served.stop();
      await server.drain();
    } finally {
      // First: what still runs is told why it ends.
      await served.dispose();
      await server.close();
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
