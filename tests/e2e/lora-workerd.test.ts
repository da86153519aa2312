/** A LoRA adapter in R2, chosen by requests to a real workerd. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startWorkerd, type Workerd } from "../../src/cli/workerd.ts";
import { randomLoraFolder } from "../support/random-lora.ts";
import { ANSWER_IDS, SMALL_PACK } from "./environment.ts";
import { ask } from "./faults-pack.ts";

/** Of SmolLM2-135M. */
const SIZES = { hidden: 576, kvDim: 192, layers: 30, r: 8, size: 0.15 };

let workerd: Workerd;

beforeAll(async () => {
  workerd = await startWorkerd("../tests/e2e/lora-worker", SMALL_PACK);
});

afterAll(() => workerd?.close());

const idsOf = async (fields: Record<string, unknown> = {}): Promise<number[]> => {
  const response = await ask(workerd.url, fields);
  const body = await response.json();
  if (response.status !== 200) throw new Error(JSON.stringify(body));
  return body.choices[0].token_ids;
};

test("a Worker says what its adapter lacks, and serves both once it is there", async () => {
  const { files } = await randomLoraFolder("pirate", SIZES);
  const put = (name: string, bytes: Uint8Array): Promise<void> =>
    workerd.put(`lora/${name}`, bytes);
  const weights = "adapter_model.safetensors";
  await put("adapter_config.json", files.get("adapter_config.json")!);
  await put(weights, files.get(weights)!.subarray(0, 1000));
  const refused = await ask(workerd.url);
  expect(refused.status).toBe(500);
  expect((await refused.json()).error.message).toContain(`lora/${weights}`);

  await put(weights, files.get(weights)!);
  expect(await idsOf()).toEqual(ANSWER_IDS);
  const solo = await idsOf({ model: "pirate", max_tokens: 24 });
  expect(solo).not.toEqual(ANSWER_IDS);
  for (let round = 0; round < 3; round++) {
    const both = [idsOf({ model: "pirate", max_tokens: 24 }), idsOf()];
    expect(await Promise.all(both)).toEqual([solo, ANSWER_IDS]);
  }
});

test("who unloads an adapter waits for those that compute with it", async () => {
  const running = idsOf({ model: "pirate", max_tokens: 40, ignore_eos: true });
  await expect
    .poll(async () => (await fetch(`${workerd.url}/metrics`)).text(), { timeout: 20_000 })
    .toMatch(/^pronk_slots_busy(?:\{[^}]*\})? 1$/m);
  const unloaded = await fetch(`${workerd.url}/v1/unload_lora_adapter`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ lora_name: "pirate" }),
    signal: AbortSignal.timeout(180_000),
  });
  expect([unloaded.status, await unloaded.text()]).toEqual([
    200,
    expect.stringContaining("pirate"),
  ]);
  expect(await running).toHaveLength(40);
  expect((await ask(workerd.url, { model: "pirate" })).status).toBe(404);
  expect(await idsOf()).toEqual(ANSWER_IDS);
});
