/** The pages of docs/reference are what the code says now; `npm run docs:reference` writes them anew. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cliReference } from "../../../scripts/reference/cli-reference.ts";
import { environmentReference } from "../../../scripts/reference/environment-reference.ts";
import { ENVIRONMENT_VARIABLES } from "../../../scripts/reference/environment-variables.ts";
import { httpReference } from "../../../scripts/reference/http-reference.ts";
import { metricsReference } from "../../../scripts/reference/metrics-reference.ts";
import { allCommands } from "../../../src/cli/commands.ts";
import { packageRoot } from "../../../src/cli/runtimes.ts";
import { createApp } from "../../../src/server/app.ts";
import { chat } from "../server/client.ts";
import { createToy } from "../server/toy-engine.ts";

const root = packageRoot();
const page = (name: string): string => join(root, "docs", "reference", `${name}.md`);

const { engine } = createToy();
const app = createApp({ engine, auth: { keys: ["k"] } });
const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
  Promise.resolve(app.request(path, { ...init, headers: { authorization: "Bearer k" } }));

test("HTTP", async () => {
  const document = await (await ask("/openapi.json")).json();
  await expect(httpReference(document)).toMatchFileSnapshot(page("http"));
});

test("command line", async () => {
  await expect(cliReference(await allCommands())).toMatchFileSnapshot(page("cli"));
});

test("metrics", async () => {
  const body = JSON.stringify(chat());
  expect((await ask("/v1/chat/completions", { method: "POST", body })).status).toBe(200);
  const text = await (await ask("/metrics")).text();
  const reference = metricsReference(text);
  expect(reference).toContain("`pronk_key_tokens_total` | counter | `key` |");
  await expect(reference).toMatchFileSnapshot(page("metrics"));
});

test("environment variables: those that the sources read, and no others", async () => {
  const names = Object.values(ENVIRONMENT_VARIABLES).flatMap((list) =>
    list.map(({ name }) => name),
  );
  expect(new Set(names).size).toBe(names.length);
  const sources = ["src", "workers"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) =>
        readFileSync(join(root, folder, file), "utf8").replace(/^ *(?:\*|\/\*\*|\/\/).*$/gm, ""),
      ),
  );
  const code = sources.join("\n");
  const read = [...code.matchAll(/\benv\.([A-Z][A-Z0-9_]*)\b/g)].map(([, name = ""]) => name);
  /** Bindings whose names are the caller's choice, as in STAGE_0, STAGE_1. */
  const free = /^(?:STAGE_\d|BUCKET)$/;
  expect([...new Set(read)].filter((name) => !names.includes(name) && !free.test(name))).toEqual(
    [],
  );
  expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(code))).toEqual([]);
  await expect(environmentReference()).toMatchFileSnapshot(page("environment"));
});
