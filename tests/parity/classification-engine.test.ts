/** A LlamaForSequenceClassification in the engine and over HTTP, against transformers' pipeline. */
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openHfDirectory } from "../../src/checkpoints/hf-directory.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { packModel } from "../../src/engine/pack-model.ts";
import { autoTokenizer } from "../../src/llama/tokenizer/load-tokenizer.ts";
import { createHostEngine } from "../../src/platform/host/create-engine.ts";
import { directoryFolder, directoryTarget } from "../../src/platform/host/directory.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { createApp } from "../../src/server/app.ts";

const goldens = "tests/goldens";
const folder = mkdtempSync(join(tmpdir(), "pronk-classifier-"));
const modelFolder = join(folder, "single");
const sizes = { kv: "f32", slots: 2, ctx: 256 } as const;
let engine: Engine;

beforeAll(async () => {
  cpSync(`${goldens}/tokenizers/llama2_sp/fast`, modelFolder, { recursive: true });
  cpSync(`${goldens}/pipelines/single`, modelFolder, { recursive: true });
  engine = await createHostEngine(nodeHost, modelFolder, { quantization: "none", ...sizes });
});
afterAll(async () => {
  await engine?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

interface GoldenCase {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly output: { score: number }[];
}

const cases: GoldenCase[] = JSON.parse(readFileSync(`${goldens}/pipelines/cases.json`, "utf8"));
const goldenOf = (name: string): GoldenCase => cases.find((one) => one.name === name)!;
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

test("its outputs are transformers'", async () => {
  expect(engine.info.labels).toBe(1);
  const { args, output } = goldenOf("text-classification single llama2 {}");
  const texts = args[0] as string[];
  const ids = texts.map((text) => engine.tokenizer.encode(text));
  const found = await engine.classify(ids);
  for (const [i, { score }] of output.entries()) {
    expect(Math.abs(sigmoid(found[i]![0]!) - score)).toBeLessThan(2e-4);
  }
  // One alone, and in chunks.
  expect(await engine.classify([ids[1]!])).toEqual([found[1]]);
});

describe("/v1/rerank", () => {
  const query = "Where does Anna live?";
  const documents = [
    "The sky is blue.",
    "Anna lives in Paris.",
    { text: "Rivers run to the sea." },
  ];
  const rerank = async (fields: Record<string, unknown> = {}) => {
    const response = await createApp({ engine }).request("/v1/rerank", {
      method: "POST",
      body: JSON.stringify({ model: engine.info.id, query, documents, ...fields }),
    });
    // biome-ignore lint/suspicious/noExplicitAny: answers are read as freely as JSON is
    return { status: response.status, json: (await response.json()) as any };
  };

  test("orders documents by the head's score of the pair, as transformers joins them", async () => {
    const { json } = await rerank({ return_documents: true, raw_scores: true });
    const tokenizer = await autoTokenizer(directoryFolder(nodeHost, modelFolder));
    const texts = documents.map((one) => (typeof one === "string" ? one : one.text));
    const pairs = texts.map((text) => tokenizer.encode(query, { text_pair: text }));
    const scores = (await engine.classify(pairs)).map(([score]) => score!);
    const expected = scores
      .map((relevance_score, index) => ({
        index,
        relevance_score,
        document: { text: texts[index] },
      }))
      .sort((a, b) => b.relevance_score - a.relevance_score);
    expect(json.results).toEqual(expected);
    const tokens = pairs.reduce((sum, ids) => sum + ids.length, 0);
    expect(json.usage).toEqual({ prompt_tokens: tokens, total_tokens: tokens });
    const [best] = (await rerank({ top_n: 1 })).json.results;
    expect(best.relevance_score).toBeCloseTo(sigmoid(expected[0]!.relevance_score), 9);
    expect(best).not.toHaveProperty("document");
  });

  test.each([
    ["query", ""],
    ["query", undefined],
    ["documents", []],
    ["documents", [""]],
    ["documents", [1]],
    ["documents", ["word ".repeat(300)]],
    ["top_n", 0],
  ])("refuses %s %j", async (field, value) => {
    const { status, json } = await rerank({ [field]: value });
    expect(status).toBe(400);
    expect(json.error.param.split(/[.[]/)[0]).toBe(field);
  });
});

test("it generates nothing and scores no tokens, by name; it embeds", async () => {
  const prompt_ids = [1, 2, 3];
  const refusal = { code: "unsupported", message: expect.stringContaining("classification head") };
  await expect(engine.generate({ prompt_ids })).rejects.toMatchObject(refusal);
  await expect(engine.promptLogprobs([prompt_ids])).rejects.toMatchObject(refusal);
  await expect(engine.perplexity(prompt_ids)).rejects.toMatchObject(refusal);
  const row = { prompt_ids, continuation_ids: [4] };
  await expect(engine.scoreContinuations([row])).rejects.toMatchObject(refusal);
  expect((await engine.embed([prompt_ids]))[0]).toHaveLength(32);
});

test("a pack of it has the head, too", async () => {
  const out = join(folder, "pack");
  const checkpoint = await openHfDirectory(directoryFolder(nodeHost, modelFolder));
  await packModel({ checkpoint }, directoryTarget(out), { quantization: "f32" });
  const packed = await createHostEngine(nodeHost, out, sizes);
  try {
    const ids = packed.tokenizer.encode("Anna lives in Paris.");
    expect(await packed.classify([ids])).toEqual(await engine.classify([ids]));
  } finally {
    await packed.dispose();
  }
});
