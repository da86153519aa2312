import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Engine } from "../../../src/engine/engine.ts";
import { collect, engineOver, toyEngine } from "./toy-engine.ts";
import { ToyRunner, toyGreedy } from "./toy-runner.ts";

const greedy = { temperature: 0, ignore_eos: true } as const;
const SIZES = { ctx: 256, maxRows: 16, slots: 2 };
const system = Array.from({ length: 70 }, (_, i) => 1 + ((i * 13) % 60));

const save = async (ids = system): Promise<Uint8Array> => {
  const { engine } = toyEngine(SIZES);
  return engine.saveSnapshot({ prompt_ids: ids });
};

/** With another header, and whole. */
function edited(bytes: Uint8Array, edit: (header: Record<string, unknown>) => void): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = view.getUint32(8, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(12, 12 + length)));
  edit(header);
  const json = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(4);
  size.writeUInt32LE(json.length);
  const body = bytes.subarray(12 + length, bytes.length - 32);
  const all = Buffer.concat([bytes.subarray(0, 8), size, json, body]);
  return new Uint8Array(Buffer.concat([all, createHash("sha256").update(all).digest()]));
}

describe("a snapshot", () => {
  test("gives another engine the same output, without its tokens being run", async () => {
    const bytes = await save();
    const { engine, runner } = toyEngine(SIZES);
    const info = await engine.loadSnapshot(bytes);
    expect(info).toMatchObject({ tokens: 70, bytes: bytes.length });
    expect(engine.snapshots).toEqual([info]);
    const prompt = [...system, 7, 8];
    const { ids, timings } = await engine.generate({
      prompt_ids: prompt,
      max_tokens: 5,
      ...greedy,
    });
    expect(ids).toEqual(toyGreedy(prompt, 5));
    expect(timings.cached_n).toBe(70);
    expect(runner.batches[0]?.ids).toEqual([7, 8]);
  });

  test("serves prompts that share but its beginning, and that are no longer than it", async () => {
    const { engine } = toyEngine(SIZES);
    await engine.loadSnapshot(await save());
    for (const prompt of [[...system.slice(0, 40), 9, 9], system, system.slice(0, 50)]) {
      const { ids, timings } = await engine.generate({
        prompt_ids: prompt,
        max_tokens: 5,
        ...greedy,
      });
      expect(ids).toEqual(toyGreedy(prompt, 5));
      expect(timings.cached_n).toBeGreaterThanOrEqual(40);
    }
  });

  test("is put back after its slots were taken by others", async () => {
    const { engine, runner } = toyEngine({ ...SIZES, slots: 1 });
    await engine.loadSnapshot(await save());
    for (const first of [1, 2, 3]) {
      const other = [first, 5, 6, 7];
      await engine.generate({ prompt_ids: other, max_tokens: 2, ...greedy });
      const prompt = [...system, first];
      const { timings } = await engine.generate({ prompt_ids: prompt, max_tokens: 2, ...greedy });
      expect(timings.cached_n).toBe(70);
    }
    expect(runner.loads).toHaveLength(6);
  });

  test.each([
    ["at once", false],
    ["later", true],
  ])(
    "is made beside running generations, of what slots hold already, read %s",
    async (_, async) => {
      const { engine, runner } = toyEngine({ ...SIZES, async });
      const running = engine.stream({ prompt_ids: [...system, 3], max_tokens: 30, ...greedy });
      const tokens = collect(running);
      await running[Symbol.asyncIterator]().next();
      const before = runner.copies.length;
      const bytes = await engine.saveSnapshot({ prompt_ids: system });
      expect(runner.copies.length).toBe(before + 1);
      expect(bytes).toEqual(await save());
      await tokens;
    },
  );

  test("may be a part of other bytes, of any kind", async () => {
    const { engine } = toyEngine(SIZES);
    await engine.loadSnapshot(Buffer.concat([Buffer.alloc(1), await save()]).subarray(1));
    const prompt = [...system, 7];
    const { ids } = await engine.generate({ prompt_ids: prompt, max_tokens: 5, ...greedy });
    expect(ids).toEqual(toyGreedy(prompt, 5));
  });

  test("is gone when it is unloaded", async () => {
    const { engine } = toyEngine(SIZES);
    const { id } = await engine.loadSnapshot(await save());
    engine.unloadSnapshot(id);
    const { timings } = await engine.generate({
      prompt_ids: [...system, 7],
      max_tokens: 2,
      ...greedy,
    });
    expect(timings.cached_n).toBe(0);
    expect(() => engine.unloadSnapshot(id)).toThrow("not loaded");
  });
});

describe("what is refused", () => {
  const load = async (
    bytes: Uint8Array,
    engine: Engine = toyEngine(SIZES).engine,
  ): Promise<unknown> => engine.loadSnapshot(bytes);

  test("bytes that are none, are of another version, are cut or changed", async () => {
    const bytes = await save();
    await expect(load(new Uint8Array(100))).rejects.toMatchObject({ code: "bad_format" });
    await expect(load(new Uint8Array(0))).rejects.toMatchObject({ code: "bad_format" });
    const newer = bytes.slice();
    newer[7] = 9;
    await expect(load(newer)).rejects.toMatchObject({ code: "unsupported" });
    await expect(load(bytes.subarray(0, -1))).rejects.toMatchObject({ code: "corrupt" });
    for (const at of [20, 200, bytes.length - 40, bytes.length - 1]) {
      const changed = bytes.slice();
      changed[at] = changed[at]! ^ 1;
      await expect(load(changed)).rejects.toMatchObject({ code: "corrupt" });
    }
  });

  test.each([
    ["another model", "bad_request", (header: Record<string, unknown>) => (header.model = "fp_x")],
    [
      "another cache type",
      "bad_request",
      (header: Record<string, unknown>) => (header.kv = "int8"),
    ],
    [
      "an adapter",
      "bad_request",
      (header: Record<string, unknown>) => (header.adapters = [["a", 1]]),
    ],
    ["foreign tokens", "bad_format", (header: Record<string, unknown>) => (header.ids = [64])],
    ["no tokens", "bad_format", (header: Record<string, unknown>) => (header.ids = [])],
    ["more tokens", "bad_request", (h: Record<string, unknown>) => (h.ids = Array(257).fill(1))],
    ["wrong types", "bad_format", (header: Record<string, unknown>) => (header.ids = "1")],
    ["wrong sizes", "bad_format", (header: Record<string, unknown>) => (header.layer = 3)],
  ])("one with %s", async (_, code, edit) => {
    await expect(load(edited(await save(), edit))).rejects.toMatchObject({ code });
  });

  test("more than the memory that is set aside", async () => {
    const bytes = await save();
    const { engine } = toyEngine(SIZES, { snapshotBytes: bytes.length });
    await engine.loadSnapshot(bytes);
    await expect(load(await save([1, 2]), engine)).rejects.toMatchObject({ code: "out_of_memory" });
  });

  test("a model whose keys depend on how a text is cut", async () => {
    const runner = Object.assign(new ToyRunner(SIZES), { isCutDependent: true });
    const { engine } = engineOver(runner);
    await expect(load(await save(), engine)).rejects.toMatchObject({ code: "unsupported" });
    const saving = engine.saveSnapshot({ prompt_ids: system });
    await expect(saving).rejects.toMatchObject({ code: "unsupported" });
  });

  test("prompts that the model cannot have", async () => {
    const { engine } = toyEngine(SIZES);
    for (const [ids, code] of [
      [[], "bad_request"],
      [[64], "bad_request"],
      [Array(257).fill(1), "context_overflow"],
    ] as const) {
      const saving = engine.saveSnapshot({ prompt_ids: ids as number[] });
      await expect(saving).rejects.toMatchObject({ code });
    }
  });
});
