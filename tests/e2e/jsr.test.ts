/** What JSR gets: the sources, as Deno reads them from a server. */
import { execFile } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, normalize } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { commandLineOn } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { MODEL_FILE, QUESTION } from "./environment.ts";

const root = packageRoot();
const json = (name: string) => JSON.parse(readFileSync(join(root, name), "utf8"));
const jsr = json("jsr.json");
const npm = json("package.json");

/** Standard output and error. */
async function deno(cwd: string, args: readonly string[], env = {}): Promise<string> {
  const options = {
    cwd,
    timeout: 330_000,
    maxBuffer: 1 << 24,
    env: { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
  };
  const { stdout, stderr } = await promisify(execFile)(
    commandLineOn("deno").program,
    args,
    options,
  );
  return stdout + stderr;
}

test("JSR's package is npm's: its version, its licence, and the sources of the same entries", () => {
  expect(jsr.version).toBe(npm.version);
  expect(jsr.license).toBe(npm.license);
  for (const [entry, source] of Object.entries<string>(jsr.exports)) {
    const built = entry === "." ? npm.exports["."].deno : npm.exports[entry];
    expect(source.replace(/^\.\/(.*)\.ts$/, "./dist/$1.js"), entry).toBe(built);
  }
});

test("it could be published: complete, without types that readers would have to work out", async () => {
  // Untracked files would be published, too: a release is made from a clean tree.
  const said = await deno(root, ["publish", "--dry-run", "--allow-dirty"]);
  expect(said).toContain("Checking for slow types");
  expect(said).toMatch(/Success\w* Dry run complete/);
  const files = [...said.matchAll(/file:\/\/\S+/g)].map(([url]) => url.slice(url.indexOf(root)));
  const names = files.map((path) => path.slice(root.length + 1));
  expect(names).toContain("wasm/dist/relaxed.wasm");
  expect(names).toContain("src/platform/thread.ts");
  const known =
    /^(?:src\/.*\.ts|wasm\/dist\/\w+\.wasm|(?:README|CHANGELOG)\.md|LICENSE|jsr\.json)$/;
  const foreign = /^src\/(?:cli|platform\/(?:node|bun|cloudflare))\//;
  expect(names.filter((name) => !known.test(name) || foreign.test(name))).toEqual([]);
});

const PROGRAM = `
import { createEngine } from "@pronk/pronk";
import { createLlm } from "@pronk/pronk/server";
const [model, content] = Deno.args;
const engine = await createEngine(model, { threads: 2 });
const llm = createLlm({ engine });
const { text } = await llm.generate({ messages: [{ role: "user", content }], temperature: 0, max_tokens: 16 });
console.log(JSON.stringify({ text, threads: engine.info.threads }));
await engine.dispose();
`;

test("a program answers whose modules come from a server, kernels and threads too", async () => {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
    const type = path.endsWith(".ts") ? "application/typescript" : "application/wasm";
    readFile(join(root, path)).then(
      (bytes) => response.writeHead(200, { "content-type": type }).end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const project = await mkdtemp(join(tmpdir(), "pronk-jsr-"));
  onTestFinished(() => rm(project, { recursive: true, force: true }));

  // What publishing makes of the names of packages and entries.
  const imports: Record<string, string> = {};
  for (const [entry, source] of Object.entries<string>(jsr.exports)) {
    imports[join(jsr.name, entry)] = new URL(source, `http://127.0.0.1:${port}/`).href;
  }
  for (const [name, version] of Object.entries<string>(npm.dependencies)) {
    imports[name] = `npm:${name}@${version}`;
    imports[`${name}/`] = `npm:/${name}@${version}/`;
  }
  const { dependencies } = npm;
  writeFileSync(join(project, "deno.json"), JSON.stringify({ imports, nodeModulesDir: "manual" }));
  writeFileSync(join(project, "package.json"), JSON.stringify({ dependencies }));
  writeFileSync(join(project, "main.ts"), PROGRAM);
  symlinkSync(join(root, "node_modules"), join(project, "node_modules"));

  const args = ["run", "--no-lock", "--check", "-A", "main.ts", MODEL_FILE, QUESTION];
  const said = await deno(project, args, { DENO_DIR: join(project, ".deno") });
  const [, last = ""] = /(\{.*\})\s*$/m.exec(said) ?? [];
  expect(JSON.parse(last)).toEqual({ text: "A week is approximately 7 days.", threads: 2 });
});
