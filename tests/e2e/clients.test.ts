/** The clients that users have, against Node and workerd: one suite, every endpoint and mode. */
import { afterAll, beforeAll, describe } from "vitest";
import { startWorkerd } from "../../src/cli/workerd.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { createEngine } from "../../src/platform/node/index.ts";
import { addAiSdkTests } from "./clients/ai-sdk-suite.ts";
import { addOpenAiTests } from "./clients/openai-suite.ts";
import { MODEL, servedApp } from "./clients/served-app.ts";
import { SMALL_PACK } from "./environment.ts";

interface Started {
  readonly url: string;
  close(): Promise<unknown>;
}

const RUNTIMES: readonly (readonly [string, () => Promise<Started>])[] = [
  [
    "Node",
    async () => {
      const engine = await createEngine(SMALL_PACK, { id: MODEL, ctx: 512, slots: 2 });
      const app = servedApp(async () => engine);
      const server = await nodeHost.serve(app.fetch, { hostname: "127.0.0.1", port: 0 });
      const close = async () => {
        await server.close();
        await engine.dispose();
      };
      return { url: server.url, close };
    },
  ],
  ["workerd", () => startWorkerd("../tests/e2e/clients/worker", SMALL_PACK)],
];

describe.each(RUNTIMES)("on %s", (_, start) => {
  let started: Started;
  beforeAll(async () => {
    started = await start();
  });
  afterAll(() => started?.close());
  addOpenAiTests(() => started.url);
  addAiSdkTests(() => started.url);
});
