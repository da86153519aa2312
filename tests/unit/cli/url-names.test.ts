/** Names that are made of a model's address: of folders, Workers and pictures. Its query may hold a credential. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CliContext } from "../../../src/cli/command.ts";
import { placeOf } from "../../../src/cli/deploy/place.ts";
import { nextStep } from "../../../src/cli/next-step.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";
import { type FileServer, serveBytes, startFileServer } from "../hub/file-server.ts";
import { temporaryFolder } from "../platform/temporary-folder.ts";
import { pronk } from "./fake-cli.ts";

const tiny = new Uint8Array(
  await readFile(new URL("../../goldens/gguf/Q4_1.gguf", import.meta.url)),
);
const pin = `#sha256=${"0".repeat(64)}`;

let server: FileServer;
beforeAll(async () => {
  server = await startFileServer();
  server.routes.set("/Tiny.gguf", serveBytes(tiny));
});
afterAll(() => server.close());

test.each([
  [`https://user:secret@host/models/Tiny.gguf?key=secret${pin}`, "tiny"],
  ["https://host/models/tiny/?key=secret", "tiny"],
  ["models/Tiny.gguf", "tiny"],
  ["hf:owner/Tiny-GGUF:Q4_1", "q4-1"],
  ["SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct"],
])("a deployment of %s is named by the file alone", async (model, name) => {
  const cli = { host: nodeHost, env: {} } as CliContext;
  const place = await placeOf({ positionals: [model], values: {} }, cli);
  expect(place).toMatchObject({ name, prefix: name });
});

test("a page's folder of a model is named by the file alone", async () => {
  const folder = await temporaryFolder();
  const url = `${server.url}/Tiny.gguf?signature=secret`;
  const args = ["page", url, "--quant", "f32", "--out", folder];
  const { code } = await pronk(args, { env: { PRONK_CACHE: await temporaryFolder() } });
  expect(code).toBe(0);
  expect(await readdir(join(folder, "models"))).toEqual(["tiny"]);
});

test("the next step after an error names no URL that may hold a credential", async () => {
  const argv = ["https://user:secret@host/tiny.gguf?key=secret"];
  const context = { command: "run", argv, env: {} };
  const errors = [
    { code: "corrupt", message: "https://host/tiny.gguf: 5 bytes, expected 6" },
    { code: "source_failed", message: "x: not in the cache, and HF_HUB_OFFLINE is set" },
  ] as const;
  for (const error of errors) {
    expect(await nextStep(error, context)).toMatch(/pronk pull URL /);
  }
});
