import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { sizesOf } from "../../../src/cli/inspect-facts.ts";
import { temporaryFolder } from "../platform/temporary-folder.ts";
import { pronk } from "./fake-cli.ts";

/** 192 tokens, one layer of 256, 128 positions; no tokenizer. */
const tiny = "tests/goldens/gguf/Q4_1.gguf";
/** With a tokenizer. */
const withTokenizer = "tests/goldens/tokenizers/tok_bpe.gguf";

async function document(...args: string[]) {
  const { out, err, code } = await pronk(["inspect", ...args, "--json"]);
  expect(code, err).toBe(0);
  return JSON.parse(out);
}

describe("pronk inspect", () => {
  test("is a report of sections, no wider than the terminal", async () => {
    for (const columns of [80, 120]) {
      const { out, code } = await pronk(["inspect", withTokenizer], { columns: () => columns });
      expect(code).toBe(0);
      const titles = out.split("\n").filter((line) => /^\S/.test(line));
      expect(titles.map((title) => title.split(/[ ,:]/)[0]).slice(1)).toEqual([
        ...["Weights", "Memory", "Fits", "Runs", "Next"],
      ]);
      for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(columns);
      expect(out).toMatch(/^ {2}tokenizer +\d+ tokens, (?:byte-level BPE|SentencePiece), /m);
      expect(out).toMatch(/^ {2}mlp +█+ +[\d.]+ [MK]B {2}\S/m);
      expect(out).toContain(`  pronk run ${withTokenizer} --`);
    }
  });

  test("sizes are those of the weights as they are kept, by kind and by layer", async () => {
    const { sizes, memory } = await document(tiny);
    const kinds = Object.fromEntries(
      sizes.kinds.map(({ kind, bytes }: { kind: string; bytes: number }) => [kind, bytes]),
    );
    expect(Object.keys(kinds)).toEqual(["embedding", "attention", "mlp", "norms", "head"]);
    const all = Object.values<number>(kinds).reduce((a, b) => a + b);
    expect(all).toBeLessThanOrEqual(memory.weights);
    expect(sizes.layers.length).toBe(1);
    // q, k, v, o; gate, up, down of 512; embedding and head of 192 tokens; three norms.
    const parameters = 256 * (256 + 128 + 128 + 256) + 3 * 256 * 512 + 2 * 192 * 256 + 3 * 256;
    expect(sizes.parameters).toBe(parameters);
  });

  test("a head that is the embedding again is counted once", () => {
    const tensor = { form: "q8", offset: 0, bytes: 8, shape: [2, 4] } as const;
    const names = ["model.embed_tokens.weight", "lm_head.weight"];
    const tensors = names.map((name) => ({ ...tensor, name }));
    expect(sizesOf(tensors, true).parameters).toBe(8);
    expect(sizesOf(tensors, false).parameters).toBe(16);
  });

  test("what fits a memory is what that budget runs with, and no position more", async () => {
    const { budgets, workers } = await document(tiny);
    expect(budgets.map(({ budget, where }: Record<string, unknown>) => [budget, where])).toEqual([
      [128e6, "isolate"],
      ...[1e9, 2e9, 4e9, 8e9].map((bytes) => [bytes, "process"]),
    ]);
    expect(workers).toEqual({ isolates: 1, ctx: 128 });
    const [small] = (await document(tiny, "--budget", "21.5MB")).budgets;
    expect(small.contexts.length).toBeGreaterThan(1);
    for (const { slots, ctx } of small.contexts) {
      const typed = ["inspect", tiny, "--budget", "21.5MB", "--slots", String(slots)];
      const chosen = async (positions: number): Promise<unknown> =>
        JSON.parse((await pronk([...typed, "--ctx", String(positions), "--json"])).out).choice;
      expect(await chosen(ctx)).toEqual(small.choice);
      // Of more positions the same form has no room: a smaller one is taken, or none.
      if (ctx < 128) expect(await chosen(ctx + 8)).not.toEqual(small.choice);
    }
  });

  test("a memory that is too small holds nothing, and the report says so", async () => {
    const [fit] = (await document(tiny, "--budget", "20MB")).budgets;
    expect(fit).toMatchObject({ choice: null, contexts: [] });
    expect((await pronk(["inspect", tiny, "--budget", "20MB"])).out).toContain("does not fit");
  });

  test("what it had is there under its old names, of packs too", async () => {
    const folder = join(await temporaryFolder(), "pack");
    expect((await pronk(["pack", tiny, "--out", folder])).code).toBe(0);
    for (const model of [tiny, folder]) {
      expect(Object.keys(await document(model))).toEqual(
        expect.arrayContaining(["architecture", "config", "tensors", "backend", "memory", "fits"]),
      );
    }
  });
});
