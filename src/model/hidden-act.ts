/**
 * The activations of a gated MLP, under the names of transformers' ACT2FN, reduced to the functions that the
 * backends compute: several names are one function, to within the rounding of f32.
 *
 * Source: transformers/activations.py (4.57).
 */

/** What a backend computes. */
export type GateActivation =
  | "silu" // x / (1 + e^-x)
  | "quick_gelu" // x / (1 + e^-1.702x)
  | "gelu_tanh" // x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  | "gelu" // x / 2 (1 + erf(x / sqrt 2))
  | "relu" // max(x, 0)
  | "relu2" // max(x, 0)^2
  | "sigmoid" // 1 / (1 + e^-x)
  | "linear"; // x;

/** A name that `hidden_act` may have. Others (mish, laplace, prelu, ...) no Llama was trained with. */
export type HiddenAct =
  | "silu"
  | "swish"
  | "gelu"
  | "gelu_python"
  | "gelu_new"
  | "gelu_fast"
  | "gelu_accurate"
  | "gelu_python_tanh"
  | "gelu_pytorch_tanh"
  | "quick_gelu"
  | "relu"
  | "relu2"
  | "sigmoid"
  | "linear";

const FUNCTIONS: Readonly<Record<HiddenAct, GateActivation>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_new: "gelu_tanh",
  gelu_fast: "gelu_tanh",
  gelu_accurate: "gelu_tanh",
  gelu_python_tanh: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
  quick_gelu: "quick_gelu",
  relu: "relu",
  relu2: "relu2",
  sigmoid: "sigmoid",
  linear: "linear",
};

export const HIDDEN_ACTS: readonly HiddenAct[] = Object.keys(FUNCTIONS) as HiddenAct[];

export function isHiddenAct(name: unknown): name is HiddenAct {
  return typeof name === "string" && Object.hasOwn(FUNCTIONS, name);
}

export function gateActivation(name: HiddenAct): GateActivation {
  return FUNCTIONS[name];
}
