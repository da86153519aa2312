/** The activations of a gated MLP in f64, by their definitions. */
import type { GateActivation } from "../../model/hidden-act.ts";

export const ACTIVATIONS: Readonly<Record<GateActivation, (x: number) => number>> = {
  silu: (x) => x * sigmoid(x),
  quick_gelu: (x) => x * sigmoid(1.702 * x),
  // (1 + tanh u) / 2 is the sigmoid of 2u, which does not cancel far left
  gelu_tanh: (x) => x * sigmoid(2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  relu: (x) => Math.max(x, 0),
  relu2: (x) => Math.max(x, 0) ** 2,
  sigmoid,
  linear: (x) => x,
};

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** Beyond, erf is 1 to the last bit of f64. */
const ERF_END = 6;

/** Maclaurin series with positive terms: erf(x) = 2 / sqrt(pi) e^(-x^2) sum of 2^n x^(2n+1) / (2n+1)!!; to about 1e-15. */
export function erf(x: number): number {
  if (!(Math.abs(x) < ERF_END)) return Number.isNaN(x) ? x : Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 2 ** -54; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
