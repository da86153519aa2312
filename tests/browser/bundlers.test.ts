/** The example of a page by each bundler, its built files answering in Chromium; by Vite also while it is written. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { commandLineOn } from "../../src/cli/child.ts";
import { packObjects } from "../../src/cli/workerd.ts";
import { SMALL_PACK } from "../e2e/environment.ts";
import { type ExampleProject, freePort, installExample } from "../e2e/example-project.ts";
import { type PackedPackage, packPackage } from "../e2e/packed-package.ts";
import { type OpenDocument, openDocument } from "../support/document-commands.ts";
import { writeTinyLlama } from "../support/seed-models.ts";
import { openPage, type PageOptions } from "./open-page.ts";

// Plain JavaScript without declarations, so that scripts run unbuilt.
const { servePage } = await import(
  new URL("../../scripts/bench/browser/page-server.mjs", import.meta.url).href
);

/** Of all scripts of the page, gzipped, with those that are loaded on demand. */
const MAX_SCRIPT_BYTES = 265_000;

let packed: PackedPackage;
beforeAll(async () => {
  packed = await packPackage();
});
afterAll(() => packed?.remove());

const readmeOf = (name: string): OpenDocument => openDocument(`examples/${name}/README.md`);

/** The example with the model where its README puts it: its first two commands. */
async function install(name: string, readme = readmeOf(name)): Promise<ExampleProject> {
  readme.take("npm install");
  expect(readme.take("pronk pack")).toMatch(/ --budget 128MB --out public\/model$/);
  const project = await installExample(name, packed.path);
  const folder = join(project.folder, "public", "model");
  mkdirSync(folder, { recursive: true });
  for (const name of await packObjects(SMALL_PACK)) {
    cpSync(join(SMALL_PACK, name), join(folder, name));
  }
  return project;
}

/** Pages that may share memory compute on all cores. */
function threadsOf(backend: string): string {
  const threads = Math.min(availableParallelism(), 8);
  return backend === "wasm" && threads > 1 ? `, ${threads} threads` : "";
}

/** Puts a model of random weights in the place of another's pack, in f32, so that both backends say the same. */
async function packTiny(out: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pronk-tiny-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  // One token in ten ends an answer: random ones would go on for minutes.
  const ends = Array.from({ length: 100 }, (_, i) => 10 * i);
  const fields = { max_position_embeddings: 1024, eos_token_id: ends };
  await writeTinyLlama(folder, "llama3", { fields, chatTemplate: "{{ messages[0].content }}" });
  rmSync(out, { recursive: true });
  const { program, args } = commandLineOn("node");
  const pack = [...args, "pack", folder, "--quant", "none", "--out", out];
  execFileSync(program, pack, { timeout: 100_000, stdio: "ignore" });
}

/** Types a question, presses the button, and reads what appears. */
async function ask(
  url: string,
  backend = "wasm",
  options: PageOptions = {},
): Promise<{ answer: string; status: string; isolated: boolean }> {
  const page = await openPage(url, options);
  onTestFinished(() => page.close());
  const status = `document.querySelector("#status")?.textContent`;
  const has = (text: string): string => `${status}?.match(/${text}|error.*/i)?.[0]`;
  expect(await page.until(has("Ready.*"))).toBe(`Ready: ${backend}${threadsOf(backend)}`);
  await page.until(`document.querySelector("button").click() ?? true`);
  return {
    status: await page.until(has(".* tokens")),
    answer: await page.until(`document.querySelector("#answer").textContent`),
    isolated: await page.until("crossOriginIsolated"),
  };
}

const ANSWERED = { answer: "A week is approximately 7 days.", status: "9 tokens", isolated: true };

/** Prints what the page loads in all. */
function expectSmall(name: string, folder: string): void {
  const bytes = readdirSync(folder)
    .filter((file) => file.endsWith(".js"))
    .reduce((sum, file) => sum + gzipSync(readFileSync(join(folder, file))).length, 0);
  console.log(`${name}: ${Math.round(bytes / 1024)} KiB of scripts, gzipped`);
  expect(bytes).toBeLessThan(MAX_SCRIPT_BYTES);
}

test("Vite: the page answers while it is written", async () => {
  const readme = readmeOf("vite");
  const { start } = await install("vite", readme);
  expect(readme.take("vite")).toBe("npx vite");
  readme.expectAllRan();
  const port = await freePort();
  const [, url = ""] = await start(
    `vite --host 127.0.0.1 --port ${port} --strictPort`,
    /(http:\/\/127\.0\.0\.1:\d+)/,
  );
  expect(await ask(`${url}/`)).toEqual(ANSWERED);
});

test("Vite: the page answers as it is built, on WebGPU too, and is small", async () => {
  const { folder, run, start } = await install("vite");
  const { scripts } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  expect(await run(scripts.build)).not.toMatch(/warn/i);
  expectSmall("vite", join(folder, "dist", "assets"));
  const port = await freePort();
  const [, url = ""] = await start(
    `vite preview --host 127.0.0.1 --port ${port} --strictPort`,
    /(http:\/\/127\.0\.0\.1:\d+)/,
  );
  expect(await ask(`${url}/`)).toEqual(ANSWERED);
  // A driver for CPUs: SmolLM2 takes minutes, as the playground's test does once; compiling takes one, or several.
  await packTiny(join(folder, "dist", "model"));
  const { answer, status } = await ask(`${url}/`);
  expect(answer.length).toBeGreaterThan(20);
  const options = { gpu: true, limitMs: 600_000 };
  const said = await ask(`${url}/?backend=webgpu`, "webgpu", options);
  expect(said).toMatchObject({ answer, status });
});

/** Builds the site and asks it, behind a server that lets it have threads. */
test.each([
  ["webpack", /Serving HTTP on/],
  ["esbuild", /Local: +http/],
])("%s: the page answers as its README builds it", async (name, serving) => {
  const readme = readmeOf(name);
  const { folder, run, start } = await install(name, readme);
  const [build = "", serve = ""] = readme.commands.slice(2).map((line) => {
    readme.ran(line);
    return line.replaceAll("npx ", "");
  });
  readme.expectAllRan();
  expect(await run(build)).not.toMatch(/warning|error/i);
  expectSmall(name, join(folder, "public", "assets"));
  const server = await servePage({ isolated: true }, { "/site/": join(folder, "public") });
  onTestFinished(() => server.close());
  expect(await ask(`${server.url}site/index.html`)).toEqual(ANSWERED);

  const port = String(await freePort());
  await start(serve.replace("8000", port), serving, { PYTHONUNBUFFERED: "1" });
  const page = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(10_000) });
  expect(await page.text()).toContain("A model in the page");
});
