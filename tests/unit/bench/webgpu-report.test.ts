import { expect, test } from "vitest";
import { script } from "./script.ts";

const { webgpuTables } = await script("webgpu-report");

const spread = (median: number) => ({ median, min: median, max: median });
const document = {
  machine: { cpu: "A CPU" },
  date: "2026-01-02",
  runtime: "Node 26",
  adapter: "acme/roadrunner",
  software: false,
  tokens: 128,
  prompt: 512,
  reps: 5,
  limits: { bandwidth: 1e12, dispatch_ms: 0.002, submit_ms: 0.05 },
  rows: [
    {
      model: "large",
      weights: 8e8,
      kernel: "f32",
      load_ms: 12_345,
      decode_tps: spread(600),
      prefill_tps: spread(4000),
      bytes_read: 8e8,
      dispatches: 83,
      submits: 0.25,
      uploaded: 0,
      bound_tps: 1250,
      share: 0.48,
      trial: { gpu: 0.5, wasm: 20, what: "a token of 1 of 16 layers" },
    },
  ],
};

test("a run on a GPU gives the adapter, what bounds it and how much of that is reached", () => {
  const text: string = webgpuTables(document);
  expect(text).toContain("acme/roadrunner; A CPU, Node 26; 2026-01-02");
  expect(text).toContain("moves 1000 GB/s, read and written; a dispatch takes 2.0 µs");
  expect(text).toMatch(/\| large \| +600\.0 .* 800 \| +83 \| +0\.25 \| +0 \| +1250 \| +48 \|/);
  expect(text).not.toContain("software");
});

test("a software adapter is named as one before any figure", () => {
  const text: string = webgpuTables({ ...document, software: true });
  expect(text).toMatch(/^A software adapter: its figures mean nothing\./);
});
