/** Logits to scores. */

/** In f64; the reference's are f32. */
export function softmax(logits: ArrayLike<number>): number[] {
  const list = Array.from(logits);
  const most = list.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const exponentials = list.map((logit) => Math.exp(logit - most));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((one) => one / sum);
}

export function sigmoid(logits: ArrayLike<number>): number[] {
  return Array.from(logits, (logit) => 1 / (1 + Math.exp(-logit)));
}

/** The first of the largest. */
export function argMax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
