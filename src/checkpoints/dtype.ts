/** The names that float types go by: ours and safetensors', PyTorch's in config.json, what users type. */
import { PronkError } from "../errors.ts";
import type { FloatType } from "../formats/float-tensor.ts";

/** As `dtype` (once `torch_dtype`) of config.json says it. */
export const HF_DTYPES: Readonly<Record<FloatType, string>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

const NAMES: ReadonlyMap<string, FloatType> = new Map([
  ["f32", "F32"],
  ["float32", "F32"],
  ["f16", "F16"],
  ["float16", "F16"],
  ["bf16", "BF16"],
  ["bfloat16", "BF16"],
]);

/** @throws PronkError "bad_request" on another name. */
export function parseDtype(name: string): FloatType {
  const type = NAMES.get(name.toLowerCase());
  if (type) return type;
  throw new PronkError("bad_request", `dtype ${name}: none of ${[...NAMES.keys()].join(", ")}`, {
    param: "dtype",
  });
}
