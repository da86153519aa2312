/** A kernel that traps and a thread that dies under `pronk serve`: one error, then it answers as before, on every runtime. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commandLineOn } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { withTrap } from "../support/trapping-kernels.ts";
import { type ChildServer, startServer } from "./child-server.ts";
import { packModel, writeModel } from "./operation-model.ts";

const TRAP_TOKEN = 777;
const TRAPS = 3;

const folder = mkdtempSync(join(tmpdir(), "pronk-trap-"));
const pack = join(folder, "pack");
const root = join(folder, "package");

beforeAll(async () => {
  packModel(await writeModel(folder), pack);
  // The package as it is, but for its kernels.
  for (const part of ["package.json", "src", join("dist", "src")]) {
    cpSync(join(packageRoot(), part), join(root, part), { recursive: true });
  }
  symlinkSync(join(packageRoot(), "node_modules"), join(root, "node_modules"));
  const kernels = join(root, "wasm", "dist");
  mkdirSync(kernels, { recursive: true });
  for (const name of ["plain.wasm", "relaxed.wasm", "wide.wasm"]) {
    const wasm = new Uint8Array(readFileSync(join(packageRoot(), "wasm", "dist", name)));
    writeFileSync(join(kernels, name), withTrap(wasm, TRAP_TOKEN));
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function complete(url: string, prompt: number[]): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "model-1", prompt, max_tokens: 8, temperature: 0 }),
    signal: AbortSignal.timeout(90_000),
  });
  return { status: response.status, body: await response.json() };
}

const textOf = (body: unknown): string =>
  (body as { choices: { text: string }[] }).choices[0]?.text ?? "";

describe.each([
  ["node", []],
  ["node", ["--threads", "2"]],
  ["deno", []],
  ["bun", []],
] as const)("on %s %j", (runtime, more) => {
  let server: ChildServer;
  beforeAll(async () => {
    const { program, args } = commandLineOn(runtime);
    const moved = args.map((arg) => arg.replace(packageRoot(), root));
    server = await startServer({ program, args: moved }, [
      ...[pack, "--slots", "2", "--no-playground", "--drain", "0"],
      ...more,
    ]);
  });
  afterAll(() => server?.close());

  test("a trap is one error for each that ran, health tells it, and the next is answered as before", async () => {
    const { url } = server;
    const before = await complete(url, [5, 6, 7]);
    expect(before.status, server.output()).toBe(200);
    for (let i = 0; i < TRAPS; i++) {
      const both = await Promise.all([complete(url, [TRAP_TOKEN]), complete(url, [TRAP_TOKEN])]);
      for (const { status, body } of both) {
        expect(status).toBe(500);
        expect(body).toMatchObject({ error: { code: "engine_failed", type: "server_error" } });
      }
      if (i === 1) {
        const health = await fetch(`${url}/health`, { signal: AbortSignal.timeout(5000) });
        expect(health.status).toBe(503);
        expect(await health.json()).toMatchObject({
          status: "failed",
          error: { code: "engine_failed", message: expect.stringContaining("failed") },
        });
      }
      const after = await complete(url, [5, 6, 7]);
      expect(after.status).toBe(200);
      expect(textOf(after.body)).toBe(textOf(before.body));
    }
    const health = await fetch(`${url}/health`, { signal: AbortSignal.timeout(5000) });
    expect(health.status).toBe(200);
  });
});
