/** pronk front: several servers behind a load balancer, as one. */
import { PronkError } from "../errors.ts";
import { createFront } from "../server/app.ts";
import { integerOption, UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { CROSS_SITE_OPTIONS, crossSiteOptions, listensHereAlone } from "./cross-site-options.ts";
import { LISTEN_OPTIONS, listen } from "./listening.ts";

export const front: Command = {
  name: "front",
  group: "Put it online",
  summary: "send requests on to servers behind a load balancer",
  examples: [
    {
      line: "pronk front http://engines.internal:8787 --port 8080",
      does: "one address before several servers: a conversation goes to the one that knows it",
    },
  ],
  positionals: "URL",
  maxPositionals: 1,
  options: {
    ...LISTEN_OPTIONS,
    ...CROSS_SITE_OPTIONS,
    timeout: {
      type: "string",
      value: "SECONDS",
      help: "until an answer begins, whole ones when they are done; default 300",
    },
    idle: {
      type: "string",
      value: "SECONDS",
      help: "of silence after which a stream's engine is taken for dead; default 60",
    },
    "max-body": { type: "string", value: "BYTES", help: "of a request; default 1048576" },
  },
  async run(input, cli): Promise<void> {
    const started = performance.now();
    const upstream = input.positionals[0] ?? cli.env.PRONK_UPSTREAM;
    if (!upstream) throw new UsageError("URL or PRONK_UPSTREAM: the load balancer's");
    const answerMs = milliseconds(integerOption(input, "timeout", 1));
    const idleMs = milliseconds(integerOption(input, "idle", 1));
    const bodyBytes = integerOption(input, "max-body", 1);
    // Whether those behind it have keys is not known here; on this machine alone, it is likely that they have none.
    const crossSite = crossSiteOptions(input, cli, !listensHereAlone(input, cli));
    let isStopping = false;
    const server = await listen(input, cli, (log) => {
      try {
        return createFront({
          upstream,
          ...crossSite,
          isStopping: () => isStopping,
          ...(answerMs !== undefined && { answerMs }),
          ...(idleMs !== undefined && { idleMs }),
          ...(bodyBytes !== undefined && { bodyBytes }),
          log,
        });
      } catch (error) {
        throw error instanceof PronkError ? new UsageError(error.message) : error;
      }
    });
    try {
      const seconds = ((performance.now() - started) / 1000).toFixed(2);
      cli.out(`the servers behind ${upstream} at ${server.url}/v1, ready in ${seconds} s\n`);
      await server.untilStopped();
      isStopping = true;
      await server.drain();
    } finally {
      await server.close();
    }
  },
};

function milliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000;
}
