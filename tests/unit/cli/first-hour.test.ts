/** What goes wrong in somebody's first hour: each says in a line what it is, and in another what to do. */
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { LEAST_NODE, oldNodeText } from "../../../src/cli/node-version.ts";
import { packageRoot } from "../../../src/cli/runtimes.ts";
import { shortHash } from "../../../src/platform/host/fetch-file.ts";
import { temporaryFolder } from "../platform/temporary-folder.ts";
import { pronk } from "./fake-cli.ts";

/** A server that gives every path this, and says it is one version of it. */
async function serve(body: string): Promise<string> {
  const server = createServer((_, response) => {
    response.writeHead(200, { etag: '"v1"', "content-length": body.length }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a Node that is too old", async () => {
  const { engines } = JSON.parse(await readFile(join(packageRoot(), "package.json"), "utf8"));
  expect(engines.node).toBe(`>=${LEAST_NODE}`);
  const texts = ["20.11.0", "20.20.2", "22.0.0", "26.10.0"].map(oldNodeText);
  expect(texts).toEqual([undefined, undefined, undefined, undefined]);
  for (const version of ["20.10.9", "18.20.4", "9.0.0"]) {
    expect(oldNodeText(version)).toMatch(
      /^pronk: this is Node [\d.]+, and it needs 20\.11.*\nnext: https/,
    );
  }
  // The command itself, on a Node that says it is one.
  const preload = join(await temporaryFolder(), "old.cjs");
  await writeFile(
    preload,
    'Object.defineProperty(process.versions, "node", { value: "18.19.0" });',
  );
  const main = join(packageRoot(), "dist", "src", "cli", "main.js");
  const { code, err } = await new Promise<{ code: unknown; err: string }>((resolve) => {
    const args = ["--require", preload, main, "--version"];
    execFile(process.execPath, args, { timeout: 20_000 }, (error, _, stderr) =>
      resolve({ code: error?.code, err: stderr }),
    );
  });
  expect({ code, err }).toEqual({ code: 1, err: oldNodeText("18.19.0") });
});

test("no network", async () => {
  // Nothing listens there any more.
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const env = { HF_ENDPOINT: `http://127.0.0.1:${port}`, PRONK_CACHE: await temporaryFolder() };
  const { code, err } = await pronk(["pull", "hf:owner/repo:Q4_1"], { env });
  expect(code).toBe(1);
  expect(err).toMatch(
    /^pronk pull: http:\/\/127\.0\.0\.1:\d+\/.*ECONNREFUSED.*\nnext: .*HTTPS_PROXY/,
  );
});

test("a cache that cannot be written", async () => {
  const url = `${await serve("GGUF")}/model.gguf`;
  const file = join(await temporaryFolder(), "file");
  await writeFile(file, "");
  const { code, err } = await pronk(["pull", url], { env: { PRONK_CACHE: join(file, "cache") } });
  expect(code).toBe(1);
  expect(err).toMatch(
    /^pronk pull: .*file\/cache\/.*: ENOTDIR: not a directory\nnext: .*PRONK_CACHE=DIR/,
  );
});

test.skipIf(process.platform !== "linux")("a disk that is full, while downloading", async () => {
  const url = `${await serve("GGUF")}/model.gguf`;
  const cache = await temporaryFolder();
  const folder = join(cache, "urls", shortHash(url));
  await mkdir(folder, { recursive: true });
  // What an earlier download left, on a device that is always full.
  await symlink("/dev/full", join(folder, `model.gguf.${shortHash('"v1"')}.0-1.part`));
  const began = performance.now();
  const { code, err } = await pronk(["pull", url], { env: { PRONK_CACHE: cache } });
  expect(code).toBe(1);
  expect(err).toMatch(
    /pronk pull: .*model\.gguf: ENOSPC: no space left on device\nnext: the disk is full.*PRONK_CACHE/,
  );
  // Nobody tries again what no waiting changes; the connection was not at fault.
  expect(err).not.toContain("broken off");
  expect(performance.now() - began).toBeLessThan(2000);
  expect(await readdir(folder)).not.toContain("model.gguf");
});

test("a port that is taken", async () => {
  const url = await serve("");
  const { port } = new URL(url);
  const { code, err } = await pronk(["serve", "--port", port], { env: {} });
  expect(code).toBe(1);
  expect(err).toContain(`127.0.0.1:${port}: the port is taken`);
  expect(err).toContain(`next: pronk serve --port ${Number(port) + 1}`);
});

test("a model whose name is mistyped", async () => {
  const { code, err } = await pronk(["run", "smolm2-135m-instruct", "--chat", "Hello"], {
    env: {},
  });
  expect(code).toBe(1);
  expect(err).toMatch(
    /smolm2-135m-instruct: no such file, and no known model.*\nnext: did you mean smollm2-135m-instruct\?/,
  );
});

test("what else the system refuses is no bug of ours: no stack", async () => {
  const { code, err } = await pronk([
    "init",
    "/dev/null/project",
    "--to",
    "node",
    "--package",
    "1.0.0",
  ]);
  expect(code).toBe(1);
  expect(err).toMatch(/^pronk init: \/dev\/null\/project.*: ENOTDIR.*\nnext: /);
  expect(err).not.toContain("    at ");
});
