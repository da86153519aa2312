/**
 * What tests/goldens/logits-hashes.json holds: for each version of the numbers, one hash over 716 rows of logits for each of
 * these models, forms and KV cache types. Together they use every form, cache, activation, rotary scaling and bias.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { KvType, Runner } from "../../src/backends/backend.ts";
import { createWasmRunner, type SelectedKernel } from "../../src/backends/wasm/wasm-runner.ts";
import { HASH_CTX, hashLogits } from "../../src/cli/logits-hash.ts";
import { openGguf } from "../../src/engine/open-gguf.ts";
import { planLlama } from "../../src/model/plan.ts";
import type { Quantization } from "../../src/pack/form-choice.ts";
import type { MatrixForm } from "../../src/pack/forms.ts";
import { type PackEntry, planImage } from "../../src/pack/image-plan.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { fill } from "../conformance/runners.ts";
import { smallLlama } from "./small-llama.ts";

export const GOLDEN_FILE = "tests/goldens/logits-hashes.json";

export interface VersionHashes {
  /** NUMBERS_VERSION. */
  readonly version: string;
  /** Why there is a new one, and whether it has other numbers. */
  readonly reason: string;
  readonly hashes: Readonly<Record<string, string>>;
}

/** The newest first. */
export function readGoldenHashes(): readonly VersionHashes[] {
  return JSON.parse(readFileSync(GOLDEN_FILE, "utf8"));
}

/** The real model's, which needs PRONK_TEST_MODEL: what `pronk hash` prints. */
export const REAL_MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf, auto, int16";

const CHUNK = 64;

const GGUFS: readonly (readonly [file: string, Quantization, KvType])[] = [
  ["MIX_Q4_1_Q8_0.gguf", "auto", "int16"],
  ["MIX_Q4_1_Q8_0.gguf", "auto", "int8"],
  ["MIX_Q4_K_M.gguf", "auto", "int16"],
  ["Q4_0.gguf", "auto", "int16"],
  ["Q5_K.gguf", "auto", "int8"],
  ["Q6_K.gguf", "auto", "int16"],
  ["Q4_1.gguf", "none", "f32"],
  ["BF16.gguf", "none", "bf16"],
];

/** What of config.json decides arithmetic and no file above has. */
const CONFIGS: readonly (readonly [MatrixForm, KvType, Readonly<Record<string, unknown>>])[] = [
  ["q4s", "int16", {}],
  ["q8", "int8", { head_dim: 24, num_key_value_heads: 1 }],
  ["q4m", "int16", { attention_bias: true, mlp_bias: true, tie_word_embeddings: true }],
  ["q4", "int16", { hidden_act: "gelu" }],
  ["q4", "int16", { hidden_act: "gelu_new" }],
  ["q4", "int16", { hidden_act: "quick_gelu" }],
  ["q4", "int16", { hidden_act: "relu" }],
  ["f32", "f32", { rope_scaling: { rope_type: "linear", factor: 4 } }],
  [
    "f32",
    "f32",
    { rope_scaling: { rope_type: "dynamic", factor: 2 }, max_position_embeddings: 256 },
  ],
  [
    "f32",
    "f32",
    { rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 128 } },
  ],
  [
    "f32",
    "f32",
    {
      rope_scaling: {
        rope_type: "llama3",
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 256,
      },
    },
  ],
  [
    "f32",
    "f32",
    {
      original_max_position_embeddings: 512,
      rope_scaling: {
        rope_type: "longrope",
        short_factor: [1, 1, 1.1, 1.2, 1.3, 1.5, 2, 3],
        long_factor: [1, 1.5, 2, 3, 4, 6, 8, 12],
      },
    },
  ],
];

interface Case {
  readonly name: string;
  readonly open: (kernel: SelectedKernel) => Promise<Runner>;
}

export const GOLDEN_CASES: readonly Case[] = [
  ...GGUFS.map(
    ([file, quantization, kv]): Case => ({
      name: `${file}, ${quantization}, ${kv}`,
      async open(kernel) {
        const source = memorySource(
          new Uint8Array(readFileSync(`tests/goldens/gguf/${file}`)),
          file,
        );
        const model = await openGguf([source], { quantization, profile: "default" });
        return openRunner(planLlama(model.config), model.entries, kv, kernel);
      },
    }),
  ),
  ...CONFIGS.map(
    ([form, kv, fields]): Case => ({
      name: `small, ${form}, ${kv}, ${JSON.stringify(fields)}`,
      open(kernel) {
        const { config, entries } = smallLlama(form, fields);
        return openRunner(planLlama(config), entries, kv, kernel);
      },
    }),
  ),
];

function openRunner(
  plan: ReturnType<typeof planLlama>,
  entries: readonly PackEntry[],
  kv: KvType,
  kernel: SelectedKernel,
): Promise<Runner> {
  const { tensors, weightBytes } = planImage(entries);
  const options = { ctx: HASH_CTX, slots: 1, maxRows: CHUNK, maxLogits: CHUNK, kv };
  return fill(createWasmRunner(plan, tensors, weightBytes, kernel, options), entries);
}

/** As `pronk hash` has it. */
export async function hashOfRunner(runner: Runner): Promise<string> {
  const sha256 = createHash("sha256");
  const { logits_sha256 } = await hashLogits(
    runner,
    { update: (bytes) => void sha256.update(bytes), digest: async () => sha256.digest("hex") },
    { chunk: CHUNK, batch: 1, speculate: false, yieldTask: async () => undefined },
  );
  runner.dispose();
  return logits_sha256;
}
