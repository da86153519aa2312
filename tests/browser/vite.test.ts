/** The example of a page, as Vite serves it while it is written, and as it builds it. */
import { cpSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { packObjects } from "../../src/cli/workerd.ts";
import { SMALL_PACK } from "../e2e/environment.ts";
import { type ExampleProject, freePort, installExample } from "../e2e/example-project.ts";
import { type PackedPackage, packPackage } from "../e2e/packed-package.ts";
import { openPage } from "./open-page.ts";

/** Of all scripts of the page, gzipped: what it loads before the model. */
const MAX_SCRIPT_BYTES = 250_000;

let packed: PackedPackage;
beforeAll(async () => {
  packed = await packPackage();
});
afterAll(() => packed?.remove());

/** The example with the model where its README puts it. */
async function install(): Promise<ExampleProject> {
  const project = await installExample("vite", packed.path);
  const folder = join(project.folder, "public", "model");
  mkdirSync(folder, { recursive: true });
  for (const name of await packObjects(SMALL_PACK)) {
    cpSync(join(SMALL_PACK, name), join(folder, name));
  }
  return project;
}

/** Types a question, presses the button, and reads what appears. */
async function ask(url: string): Promise<{ answer: string; status: string; isolated: boolean }> {
  const page = await openPage(url);
  onTestFinished(() => page.close());
  const status = `document.querySelector("#status")?.textContent`;
  const has = (text: string): string => `${status}?.match(/${text}|error.*/i)?.[0]`;
  expect(await page.until(has("ready"))).toBe("Ready");
  await page.until(`document.querySelector("button").click() ?? true`);
  return {
    status: await page.until(has(".* tokens")),
    answer: await page.until(`document.querySelector("#answer").textContent`),
    isolated: await page.until("crossOriginIsolated"),
  };
}

const ANSWERED = { answer: "A week is approximately 7 days.", status: "9 tokens", isolated: true };

test("the page answers while it is written", async () => {
  const { start } = await install();
  const port = await freePort();
  const [, url = ""] = await start(
    `vite --host 127.0.0.1 --port ${port} --strictPort`,
    /(http:\/\/127\.0\.0\.1:\d+)/,
  );
  expect(await ask(`${url}/`)).toEqual(ANSWERED);
});

test("the page answers as it is built, and is small", async () => {
  const { folder, run, start } = await install();
  const { scripts } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  expect(await run(scripts.build)).not.toMatch(/warn/i);
  const assets = join(folder, "dist", "assets");
  const bytes = readdirSync(assets)
    .filter((name) => name.endsWith(".js"))
    .reduce((sum, name) => sum + gzipSync(readFileSync(join(assets, name))).length, 0);
  console.log(`vite: ${Math.round(bytes / 1024)} KiB of scripts, gzipped`);
  expect(bytes).toBeLessThan(MAX_SCRIPT_BYTES);
  const port = await freePort();
  const [, url = ""] = await start(
    `vite preview --host 127.0.0.1 --port ${port} --strictPort`,
    /(http:\/\/127\.0\.0\.1:\d+)/,
  );
  expect(await ask(`${url}/`)).toEqual(ANSWERED);
});
