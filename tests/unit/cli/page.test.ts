import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { goldenPath } from "../../support/golden-model.ts";
import { temporaryFolder } from "../platform/temporary-folder.ts";
import { pronk } from "./fake-cli.ts";

const gqa = goldenPath("gqa");

async function page(...args: string[]): Promise<Record<string, unknown>> {
  const { code, out, err } = await pronk(["page", ...args, "--json"]);
  expect(code, err).toBe(0);
  return JSON.parse(out);
}

const listOf = async (folder: string) =>
  JSON.parse(await readFile(join(folder, "models.json"), "utf8")).models;

test("a page with a model beside it, from a checkpoint and from its pack: the same pack, named in the list", async () => {
  const folder = await temporaryFolder();
  const pack = join(folder, "pack");
  expect((await pronk(["convert", gqa, "--to", "pack", "--out", pack])).code).toBe(0);
  const first = join(folder, "first");
  const second = join(folder, "second");
  await page(gqa, "--out", first);
  await page(pack, "--out", second);
  const [model] = await listOf(first);
  const [copied] = await listOf(second);
  expect(copied.checksum).toBe(model.checksum);
  const names = await readdir(join(first, model.folder));
  expect(names.sort()).toEqual((await readdir(pack)).sort());
  for (const file of ["index.html", "service-worker.js", "_headers"]) {
    expect(existsSync(join(first, file)), file).toBe(true);
  }
});

test("a second model joins the first, one of the same name takes its place, and old files go", async () => {
  const folder = await temporaryFolder();
  const out = join(folder, "page");
  await page(gqa, "--out", out);
  await mkdir(join(out, "playground"), { recursive: true });
  await writeFile(join(out, "playground", "old-AAAAAAAA.js"), "");
  const [{ id, folder: place }] = await listOf(out);
  await writeFile(join(out, place, `${"0".repeat(64)}.bin`), "");
  expect(await page(goldenPath("mha"), "--out", out)).toMatchObject({ path: out });
  expect((await listOf(out)).map((model: { id: string }) => model.id)).toHaveLength(2);
  expect(await page(gqa, "--out", out)).toMatchObject({ path: out });
  const again = await listOf(out);
  expect(again.map((model: { id: string }) => model.id)).toContain(id);
  expect(again).toHaveLength(2);
  expect(existsSync(join(out, "playground", "old-AAAAAAAA.js"))).toBe(false);
  expect(await readdir(join(out, place))).not.toContain(`${"0".repeat(64)}.bin`);
});

test("without a model the page is there, and its list is empty", async () => {
  const out = join(await temporaryFolder(), "page");
  expect(await page("--without-model", "--out", out)).toMatchObject({ models: [] });
  expect(await listOf(out)).toEqual([]);
});

test("a folder is asked for", async () => {
  const { code, err } = await pronk(["page", gqa]);
  expect(code).toBe(2);
  expect(err).toContain("--out DIR is missing");
});
