/**
 * PEFT's combination "linear" of adapters with equal ranks: factors are summed, A with A and B with B, each with the root
 * of |weight * scaling| (and A with its sign), so that the result is one adapter of the same rank. Its product has terms
 * of one adapter's A and another's B; to add the changes themselves, run them side by side.
 *
 * Source: _generalized_task_arithmetic_weighted_adapter (peft/tuners/lora/model.py, 0.21).
 */
import { PronkError } from "../errors.ts";
import { fromF32, toF32 } from "../formats/cast-tensor.ts";
import { checkRows } from "../formats/check-rows.ts";
import { FLOAT_BYTES, type FloatTensor } from "../formats/float-tensor.ts";
import type { LoraAdapter, LoraModule } from "./lora-adapter.ts";

interface WeightedTensor {
  readonly tensor: FloatTensor;
  readonly weight: number;
}

/** @throws PronkError "bad_request" for ranks that differ; "unsupported" for biases and replaced tensors. */
export function combineLinear(
  name: string,
  adapters: readonly { readonly adapter: LoraAdapter; readonly weight: number }[],
): LoraAdapter {
  const refuse = (code: "bad_request" | "unsupported", why: string): PronkError =>
    new PronkError(code, `add_weighted_adapter: ${why}`, { param: "adapters" });
  const modules = new Map<string, LoraModule>();
  const all = new Set(adapters.flatMap(({ adapter }) => [...adapter.modules.keys()]));
  for (const { adapter } of adapters) {
    if (adapter.replaced.size > 0) throw refuse("unsupported", `${adapter.name} replaces tensors`);
  }
  for (const module of all) {
    const parts = adapters.flatMap(({ adapter, weight }) => {
      const found = adapter.modules.get(module);
      return found ? [{ found, weight: weight * found.scaling }] : [];
    });
    const [{ found: first }] = parts as [(typeof parts)[number]];
    for (const { found } of parts) {
      if (found.bias) throw refuse("unsupported", `${module} has a bias of lora_B`);
      const isSame =
        String(found.a.shape) === String(first.a.shape) &&
        String(found.b.shape) === String(first.b.shape);
      if (!isSame) throw refuse("bad_request", `${module}: factors of different shapes`);
    }
    const a = parts.map(({ found, weight }) => ({
      tensor: found.a,
      weight: Math.sign(weight) * Math.sqrt(Math.abs(weight)),
    }));
    const b = parts.map(({ found, weight }) => ({
      tensor: found.b,
      weight: Math.sqrt(Math.abs(weight)),
    }));
    modules.set(module, { ...first, scaling: 1, a: weightedSum(a), b: weightedSum(b) });
  }
  const { config } = adapters[0]!.adapter;
  const targets = (module: string): boolean => modules.has(module);
  const none: ReadonlyMap<string, FloatTensor> = new Map();
  return { name, config, modules, replaced: none, copies: none, targets };
}

/** In f32, row by row. */
function weightedSum(parts: readonly WeightedTensor[]): FloatTensor {
  const { name, shape } = parts[0]!.tensor;
  const cols = shape.slice(1).reduce((product, n) => product * n, 1);
  return {
    name,
    type: "F32",
    shape,
    async readRows(first, count, into, signal) {
      checkRows(this, first, count, into);
      const sum = new Float32Array(count * cols);
      for (const { tensor, weight } of parts) {
        const bytes = new Uint8Array(sum.length * FLOAT_BYTES[tensor.type]);
        await tensor.readRows(first, count, bytes, signal);
        for (const [i, value] of toF32(bytes, tensor.type).entries()) {
          sum[i]! += Math.fround(weight) * value;
        }
      }
      fromF32(sum, "F32", into);
    },
  };
}
