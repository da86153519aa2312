/** What the library's forward needs beyond causal text: masks, positions, embeddings, taps, the cache's contents. */
import { describe, expect, test } from "vitest";
import type { Batch, KvType } from "../../src/backends/backend.ts";
import type { RunnerOptions, Tap } from "../../src/backends/runner-options.ts";
import { type PlanOptions, planLlama } from "../../src/model/plan.ts";
import { EMBEDDING, FINAL_NORM, LM_HEAD, layerTensor } from "../../src/model/tensors.ts";
import { BACKENDS, type CreateRunner, entriesOf, expectSame, reference } from "./backends.ts";
import { configOf, noise, type TestTensor } from "./op-plans.ts";

const SIZES = { dim: 32, heads: 4, kvHeads: 2, headDim: 10, ffn: 40 };
const VOCAB = 64;
const CTX = 80;
const config = { ...configOf(SIZES, VOCAB), num_hidden_layers: 2 };
const OPTIONS = { ctx: CTX, slots: 3, maxRows: 16, maxLogits: 16 } as const;

function tensors(): TestTensor[] {
  const { dim, heads, kvHeads, headDim, ffn } = SIZES;
  let seed = 0;
  const tensor = (name: string, ...shape: number[]): TestTensor => {
    const size = shape.reduce((a, b) => a * b);
    const scale = shape.length === 1 ? 1 : 2 / Math.sqrt(shape[1]);
    return { name, shape, values: noise(size, ++seed, scale) };
  };
  const layers = [0, 1].flatMap((layer) => {
    const of = (name: string, ...shape: number[]): TestTensor =>
      tensor(`${layerTensor(layer, name)}`, ...shape);
    return [
      of("input_layernorm.weight", dim),
      of("self_attn.q_proj.weight", heads * headDim, dim),
      of("self_attn.k_proj.weight", kvHeads * headDim, dim),
      of("self_attn.v_proj.weight", kvHeads * headDim, dim),
      of("self_attn.o_proj.weight", dim, heads * headDim),
      of("post_attention_layernorm.weight", dim),
      of("mlp.gate_proj.weight", ffn, dim),
      of("mlp.up_proj.weight", ffn, dim),
      of("mlp.down_proj.weight", dim, ffn),
    ];
  });
  return [
    tensor(EMBEDDING, VOCAB, dim),
    ...layers,
    tensor(FINAL_NORM, dim),
    tensor(LM_HEAD, VOCAB, dim),
    tensor("score.weight", 3, dim),
  ];
}

const entries = entriesOf(tensors(), () => "f32");

interface Shown {
  readonly logits: number[][];
  readonly taps: Map<string, number[]>;
}

async function run(
  create: CreateRunner,
  batches: readonly Batch[],
  planOptions: PlanOptions = {},
  more: Partial<RunnerOptions> = {},
): Promise<Shown> {
  const taps = new Map<string, number[]>();
  const tap = ({ name, span, data }: Tap): void => {
    taps.set(span ? `${name} of ${span.slot}` : name, Array.from(data));
  };
  const options = { ...OPTIONS, kv: "f32" as KvType, masks: true, tap, ...more };
  const plan = planLlama(config, planOptions);
  const runner = await create(plan, entries, options);
  let logits: number[][] = [];
  for (const given of batches) {
    const shown = planOptions.attentions ? { probabilities: true } : {};
    const batch = { ...given, spans: given.spans.map((span) => ({ ...span, ...shown })) };
    await runner.forward(batch);
    logits = batch.logitsRows.map((_, i) => Array.from(runner.logits(i)));
  }
  runner.dispose();
  return { logits, taps };
}

function expectClose(found: Shown, expected: Shown): void {
  const close = (a: readonly number[], b: readonly number[], what: string): void => {
    expect(a.length, what).toBe(b.length);
    const worst = Math.max(...a.map((value, i) => Math.abs(value - b[i]) / (1 + Math.abs(b[i]))));
    expect(worst, what).toBeLessThan(2e-5);
  };
  for (const [i, row] of expected.logits.entries()) close(found.logits[i], row, `logits ${i}`);
  expect([...found.taps.keys()]).toEqual([...expected.taps.keys()]);
  for (const [name, values] of expected.taps) close(found.taps.get(name) ?? [], values, name);
}

const rows = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const ids = (count: number): number[] => rows(count).map((i) => (i * 13 + 5) % VOCAB);

/** About half of the keys, its own always. */
function someVisible(start: number, count: number): Uint8Array {
  const keys = start + count;
  return Uint8Array.from({ length: count * keys }, (_, i) => {
    const [row, t] = [Math.floor(i / keys), i % keys];
    return t === start + row || (i * 2654435761) % 7 < 3 ? 1 : 0;
  });
}

const masked: Batch = {
  ids: ids(12),
  spans: [
    { slot: 2, start: 0, count: 5, visible: someVisible(0, 5) },
    { slot: 0, start: 0, count: 7, positions: [5, 6, 7, 20, 21, 22, 79] },
  ],
  logitsRows: rows(12),
};
const continued: Batch = {
  ids: [9, 3, 7],
  spans: [
    { slot: 0, start: 7, count: 1, positions: [3] },
    { slot: 2, start: 5, count: 2, visible: someVisible(5, 2), positions: [2, 2] },
  ],
  logitsRows: [0, 2],
};

for (const backend of BACKENDS) {
  const { create } = backend;
  describe(backend.name, () => {
    test("masks and positions of its own give the reference's logits, states and attention", async () => {
      for (const batches of [[masked], [masked, continued]]) {
        for (const planOptions of [{}, { hiddenStates: true, attentions: true }]) {
          const found = await run(create, batches, planOptions);
          const expected = await run(reference, batches, planOptions);
          expectClose(found, expected);
          expect(found.taps.size).toBe(planOptions.attentions ? 3 + 2 * 2 : 0);
        }
      }
    });

    test("a mask that hides nothing, and shown attention, change no bit", async () => {
      const plain: Batch = {
        ids: ids(6),
        spans: [{ slot: 1, start: 0, count: 6 }],
        logitsRows: rows(6),
      };
      const visible = Uint8Array.from({ length: 36 }, (_, i) =>
        i % 6 <= Math.floor(i / 6) ? 1 : 0,
      );
      const same = { ...plain, spans: [{ ...plain.spans[0], visible, positions: rows(6) }] };
      const { logits } = await run(create, [plain]);
      const withMask = await run(create, [same]);
      expectSame(backend, withMask.logits.flat(), logits.flat());
      const shown = await run(create, [plain], { attentions: true, hiddenStates: true });
      expectSame(backend, shown.logits.flat(), logits.flat());
    });

    test("a row that sees nothing gets zeros from attention", async () => {
      const blind: Batch = {
        ids: ids(2),
        spans: [{ slot: 0, start: 0, count: 2, visible: Uint8Array.of(0, 0, 1, 1) }],
        logitsRows: [0, 1],
      };
      const found = await run(create, [blind], { attentions: true });
      expectClose(found, await run(reference, [blind], { attentions: true }));
      expect(found.taps.get("attentions.0 of 0")?.slice(0, 2)).toEqual([0, 0]);
    });

    test("embeddings stand for ids", async () => {
      const count = 5;
      const table = tensors()[0].values;
      const embeds = new Float32Array(count * SIZES.dim);
      for (const [i, id] of ids(count).entries()) {
        embeds.set(table.subarray(id * SIZES.dim, (id + 1) * SIZES.dim), i * SIZES.dim);
      }
      const batch = {
        ids: ids(count),
        spans: [{ slot: 0, start: 0, count }],
        logitsRows: rows(count),
      };
      const { logits } = await run(create, [batch]);
      const embedded = await run(create, [{ ...batch, ids: rows(count), embeds }]);
      expectSame(backend, embedded.logits.flat(), logits.flat());
    });

    test("another head gives its own outputs", async () => {
      const head = { weight: "score.weight", rows: 3 };
      const found = await run(create, [masked], { head });
      expectClose(found, await run(reference, [masked], { head }));
      expect(found.logits[0]).toHaveLength(3);
    });

    test.each(backend.caches)("a copied slot goes on like the first: %s", async (kv) => {
      const plan = planLlama(config);
      const runner = await create(plan, entries, { ...OPTIONS, kv });
      for (const count of [3, 70]) {
        for (let from = 0; from < count; from += 16) {
          const part = Math.min(16, count - from);
          const spans = [{ slot: 0, start: from, count: part }];
          await runner.forward({ ids: ids(part), spans, logitsRows: [] });
        }
        await runner.forward({
          ids: ids(9),
          spans: [{ slot: 2, start: 0, count: 9 }],
          logitsRows: [],
        });
        runner.copySlot(0, 2, count);
        expect(await runner.readCache(2, 1, count)).toEqual(await runner.readCache(0, 1, count));
        const next = async (slot: number): Promise<Float32Array> => {
          await runner.forward({
            ids: [11],
            spans: [{ slot, start: count, count: 1 }],
            logitsRows: [0],
          });
          return runner.logits(0).slice();
        };
        expect(await next(2)).toEqual(await next(0));
      }
    });

    test.each(backend.caches)("the cache is read as the reference's: %s", async (kv) => {
      const tolerance = { f32: 1e-5, int16: 2e-3, int8: 2e-2, bf16: 8e-3 }[kv];
      const spans = [{ slot: 1, start: 0, count: 11 }];
      const [found, expected] = await Promise.all(
        [create, reference].map(async (make) => {
          const runner = await make(planLlama(config), entries, { ...OPTIONS, kv });
          await runner.forward({ ids: ids(11), spans, logitsRows: [] });
          return runner.readCache(1, 1, 11);
        }),
      );
      for (const which of ["keys", "values"] as const) {
        expect(found[which]).toHaveLength(2 * 11 * 10);
        const most = Math.max(...expected[which].map(Math.abs));
        found[which].forEach((value, i) => {
          expect(Math.abs(value - expected[which][i])).toBeLessThan(tolerance * most);
        });
      }
    });

    const over = (kv: KvType): Promise<Shown> => run(create, [masked], {}, { kv });
    if (backend.masksNeedF32) {
      test("masks need a cache of f32", async () => {
        await expect(over("int16")).rejects.toMatchObject({ code: "unsupported" });
      });
    } else {
      test("masks over another cache hide the same", async () => {
        const [found, expected] = [await over("int16"), await over("f32")];
        const largest = Math.max(...expected.logits.flat().map(Math.abs));
        found.logits.flat().forEach((value, i) => {
          expect(Math.abs(value - expected.logits.flat()[i])).toBeLessThan(1e-3 * largest);
        });
      });
    }
  });
}
