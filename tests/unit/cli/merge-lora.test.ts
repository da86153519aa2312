/** `--lora` of what writes models: adapters in the weights, of any kind of base. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { openHfDirectory } from "../../../src/checkpoints/hf-directory.ts";
import type { ModelInput } from "../../../src/engine/opened-model.ts";
import { directoryFolder } from "../../../src/platform/host/directory.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";
import { goldenPath } from "../../support/golden-model.ts";
import { expectClose, models } from "../../support/llama-models.ts";
import { loraCases, loraLogits, loraPath } from "../../support/lora.ts";
import { temporaryFolder } from "../platform/temporary-folder.ts";
import { pronk } from "./fake-cli.ts";

const gqa = goldenPath("gqa");
const input_ids = loraCases()[0]!.inputs.input_ids as number[][];

async function run(...args: string[]): Promise<void> {
  const { code, err } = await pronk([...args, "--json"]);
  expect(code, err).toBe(0);
}

async function logitsOf(input: ModelInput): Promise<Float32Array> {
  const model = await models.LlamaForCausalLM.fromPretrained(input, { backend: "reference" });
  return (await model.forward({ input_ids, use_cache: false })).logits.data;
}

const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.sqrt(Array.from(a).reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0));

const open = (path: string) => directoryFolder(nodeHost, path);

test("convert: several adapters, with scales", async () => {
  const out = join(await temporaryFolder(), "merged");
  const adapters = ["--lora", loraPath("qv_r8"), "--lora", `all=${loraPath("all_r8")}:1.0`];
  await run("convert", gqa, "--out", out, ...adapters);
  const checkpoint = await openHfDirectory(open(out));
  expectClose(await logitsOf({ checkpoint }), Array.from(await loraLogits("stacked")));
  const half = join(await temporaryFolder(), "half");
  await run("convert", gqa, "--out", half, "--lora", `${loraPath("all_r8")}:0`);
  const untouched = await openHfDirectory(open(half));
  expectClose(await logitsOf({ checkpoint: untouched }), Array.from(await loraLogits("base")));
});

test("pack and convert --to pack: into a GGUF's quantized blocks", async () => {
  const folder = await temporaryFolder();
  const gguf = join(folder, "gguf");
  await run("convert", gqa, "--to", "gguf", "--dtype", "q8_0", "--out", gguf);
  const file = join(gguf, "model.gguf");
  const [plain, packed, converted] = ["plain", "packed", "converted"].map((n) => join(folder, n));
  const lora = ["--lora", loraPath("all_r8")];
  await run("pack", file, "--out", plain!);
  await run("pack", file, "--out", packed!, ...lora);
  await run("convert", file, "--to", "pack", "--out", converted!, ...lora);
  const base = await logitsOf({ pack: open(plain!) });
  const error = distance(base, await loraLogits("base"));
  const expected = await loraLogits("all_r8");
  const merged = await logitsOf({ pack: open(packed!) });
  expect(distance(merged, expected)).toBeLessThan(3 * error);
  expect(distance(base, expected)).toBeGreaterThan(10 * error);
  expect(await logitsOf({ pack: open(converted!) })).toEqual(merged);
});

test("an adapter of another base is refused before anything is written", async () => {
  const out = join(await temporaryFolder(), "merged");
  const lora = ["--lora", loraPath("all_r8")];
  const { code, err } = await pronk(["convert", goldenPath("mqa"), "--out", out, ...lora]);
  expect(code).not.toBe(0);
  expect(err).toMatch(/lora_A has|the base/);
});
