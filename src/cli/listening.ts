/** A server of the command line: where it listens, what it writes of requests, and how it ends. */
import { PronkError } from "../errors.ts";
import { DRAIN_SECONDS } from "../platform/host/draining-app.ts";
import type { HttpServer } from "../platform/host/host.ts";
import { jsonLogLine, type LogEntry, textLogLine } from "../server/app.ts";
import { RunningAnswers } from "../server/running-answers.ts";
import { choiceOption, integerOption, optionGroup, textOption, UsageError } from "./arguments.ts";
import type { Arguments, CliContext, OptionSpecs } from "./command.ts";

const LOGS = ["json", "text", "failures"] as const;

const DEFAULT_PORT = 8787;
const DEFAULT_HOST = "127.0.0.1";

/** For the last bytes of an answer, where a client reads slowly. */
const FLUSH_MS = 1000;

export const LISTEN_OPTIONS: OptionSpecs = optionGroup("Server", {
  port: { type: "string", value: "N", help: `default: PORT, else ${DEFAULT_PORT}` },
  host: { type: "string", value: "ADDRESS", help: `default: HOST, else ${DEFAULT_HOST}` },
  drain: {
    type: "string",
    value: "SECONDS",
    help: `for answers that run when it is stopped; default ${DRAIN_SECONDS}`,
  },
  log: { type: "string", value: "L", help: `${LOGS.join("|")}: on stderr; default failures` },
});

export interface Listening {
  readonly url: string;
  /** A line for whoever reads the log, in the log's form. */
  warn(command: string, message: string): void;
  /** Until the command is interrupted or told to end. */
  untilStopped(): Promise<void>;
  /** Waits until no answer runs, as long as --drain says; requests are still heard meanwhile. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

export interface Answering {
  /** What answers. */
  fetch(request: Request): Response | Promise<Response>;
}

/**
 * @param createApp gets what is to be called when an answer has ended.
 * @throws UsageError for wrong options; PronkError "source_failed" when the address cannot be listened on.
 */
export async function listen(
  input: Arguments,
  cli: CliContext,
  createApp: (log: (entry: LogEntry) => void) => Answering,
): Promise<Listening> {
  const { signal } = cli;
  const log = choiceOption(input, "log", LOGS) ?? "failures";
  const drainMs = (integerOption(input, "drain", 0) ?? DRAIN_SECONDS) * 1000;
  const running = new RunningAnswers();
  const app = createApp((entry) => {
    writeLog(entry, log, cli);
    running.end();
  });
  const server = await bind(input, cli, (request) => {
    running.begin();
    return app.fetch(request);
  });
  return {
    url: server.url,
    warn(command, message) {
      const line =
        log === "json"
          ? JSON.stringify({ time: new Date().toISOString(), level: "warn", message })
          : `pronk ${command}: warning: ${message}`;
      cli.note(`${line}\n`);
    },
    untilStopped: () =>
      new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
        if (signal.aborted) resolve();
      }),
    async drain(): Promise<void> {
      if (running.count === 0 || drainMs === 0) return;
      cli.note(
        `stopping: ${running.count} running, ${drainMs / 1000} s at most; once more: at once\n`,
      );
      await running.untilIdle(drainMs);
    },
    close: () => server.close(drainMs > 0 ? FLUSH_MS : 0),
  };
}

/** Where it listens. */
export function hostnameOf(input: Arguments, { env }: Pick<CliContext, "env">): string {
  return textOption(input, "host") ?? (env.HOST || DEFAULT_HOST);
}

/** @throws PronkError "source_failed", UsageError. */
async function bind(
  input: Arguments,
  cli: CliContext,
  handler: (request: Request) => Response | Promise<Response>,
): Promise<HttpServer> {
  const hostname = hostnameOf(input, cli);
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
