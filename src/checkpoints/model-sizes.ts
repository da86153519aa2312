/** The sizes that Meta's Llamas are called by, as transformers' conversion script takes them. */
import { PronkError } from "../errors.ts";

interface Size {
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
}

/** Layers and width, by which a checkpoint shows its size. */
const SIZES: Readonly<Record<string, Size>> = {
  "1B": { hidden_size: 2048, num_hidden_layers: 16 },
  "3B": { hidden_size: 3072, num_hidden_layers: 28 },
  "7B": { hidden_size: 4096, num_hidden_layers: 32 },
  "8B": { hidden_size: 4096, num_hidden_layers: 32 },
  "13B": { hidden_size: 5120, num_hidden_layers: 40 },
  "30B": { hidden_size: 6656, num_hidden_layers: 60 },
  "34B": { hidden_size: 8192, num_hidden_layers: 48 },
  "65B": { hidden_size: 8192, num_hidden_layers: 80 },
  "70B": { hidden_size: 8192, num_hidden_layers: 80 },
  "405B": { hidden_size: 16384, num_hidden_layers: 126 },
};

/**
 * Checks that a checkpoint has the size that its user takes it for; params.json says all else. `7Bf`, the
 * chat model, counts as `7B`.
 *
 * @throws PronkError "bad_request" for an unknown size, and for another than the checkpoint's.
 */
export function checkModelSize(
  name: string,
  config: Readonly<Record<string, unknown>>,
  where: string,
): void {
  const size = SIZES[name.replace(/f$/, "").toUpperCase()];
  if (!size) {
    const known = Object.keys(SIZES).join(", ");
    throw new PronkError("bad_request", `model_size ${name}: none of ${known}`, {
      param: "model_size",
    });
  }
  for (const field of ["num_hidden_layers", "hidden_size"] as const) {
    if (config[field] === size[field]) continue;
    throw new PronkError(
      "bad_request",
      `model_size ${name} has ${field} ${size[field]}; ${where} has ${String(config[field])}`,
      { param: "model_size" },
    );
  }
}
