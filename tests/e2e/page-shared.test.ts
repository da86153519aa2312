/** Several `pronk page` into one folder at once, one of them killed: each page and pack that is there is whole. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadBlob, loadWeights, readManifest } from "../../src/pack/loader.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { folder, leftIn, pointsOf, pronk } from "./operation-faults.ts";
import { writeModel } from "./operation-model.ts";

const base = mkdtempSync(join(tmpdir(), "pronk-pages-"));
let models: string[];
beforeAll(async () => {
  models = await Promise.all([1, 2].map((seed) => writeModel(base, seed)));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** @returns the ids that the page has, each with the weights' form. */
async function wholePage(page: string): Promise<string[]> {
  const index = readFileSync(join(page, "index.html"), "utf8");
  const files = [...index.matchAll(/"(playground\/[\w.-]+)"/g)].map(([, name]) => String(name));
  expect(files.length).toBeGreaterThan(0);
  for (const name of files) expect(existsSync(join(page, name)), name).toBe(true);
  const { models } = JSON.parse(readFileSync(join(page, "models.json"), "utf8"));
  const found = models.map(async (model: { id: string; folder: string; checksum: string }) => {
    const pack = directoryFolder(nodeHost, join(page, model.folder));
    const manifest = await readManifest(pack);
    expect(manifest.checksum).toBe(model.checksum);
    await loadWeights(pack, manifest, new Uint8Array(manifest.weight_bytes));
    if (manifest.tokenizer) await loadBlob(pack, manifest.tokenizer);
    const objects = manifest.shards.length + (manifest.tokenizer ? 1 : 0);
    expect(readdirSync(join(page, model.folder))).toHaveLength(objects + 1);
    return `${model.id} ${manifest.quantization.requested}`;
  });
  return (await Promise.all(found)).sort();
}

const files = (page: string): string[] =>
  readdirSync(page, { recursive: true, encoding: "utf8" }).filter((name) => !/\.bin$/.test(name));

const write = (page: string, model: string, quant = "auto"): string[] => [
  ...["page", model, "--out", page, "--quant", quant],
];

test("two models and two forms of one: all succeed, none is lost, and nothing is left beside them", async () => {
  const page = join(folder(), "page");
  const [one, two] = models as [string, string];
  const ended = await Promise.all([
    pronk(write(page, one, "q8")),
    pronk(write(page, two)),
    pronk(write(page, one, "f32")),
    pronk(write(page, one, "q8")),
    pronk(["page", "--without-model", "--out", page]),
  ]);
  for (const { code, err } of ended) expect(code, err).toBe(0);
  const found = await wholePage(page);
  expect(found).toEqual([expect.stringMatching(/^model-1 (q8|f32)$/), "model-2 auto"]);

  const alone = join(folder(), "page");
  for (const name of found) {
    const [id, quant] = name.split(" ");
    const model = id === "model-1" ? one : two;
    expect((await pronk(write(alone, model, quant))).code).toBe(0);
  }
  expect(files(page).sort()).toEqual(files(alone).sort());
});

test("one of them killed anywhere: the others go on at once, and end it", async () => {
  const [one, two] = models as [string, string];
  const counted = folder();
  const points = await pointsOf(write(join(counted, "page"), one), counted);
  for (const share of [0.1, 0.5, 0.9]) {
    const place = folder();
    const page = join(place, "page");
    const faults = { under: place, at: Math.floor(points.length * share), do: "kill-before" };
    const killed = pronk(write(page, one), { faults });
    const started = performance.now();
    const others = await Promise.all([pronk(write(page, two)), pronk(write(page, two, "q8"))]);
    expect((await killed).signal).toBe("SIGKILL");
    for (const { code, err } of others) expect(code, err).toBe(0);
    expect(performance.now() - started).toBeLessThan(45_000);
    expect(await wholePage(page)).toContainEqual(expect.stringMatching(/^model-2 (auto|q8)$/));
    expect((await pronk(write(page, one))).code).toBe(0);
    expect(await wholePage(page)).toHaveLength(2);
    expect(leftIn(page)).toEqual([]);
  }
});
