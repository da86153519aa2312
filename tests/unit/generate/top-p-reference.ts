/** top_p by its definition: a full sort, and Math.exp. */

/** Ids kept, ascending: the fewest best, equal ones by id, whose probabilities reach `p`. */
export function topPReference(scores: Float32Array, p: number): number[] {
  const order = [...scores.keys()].sort((a, b) => scores[b] - scores[a] || a - b);
  const largest = scores[order[0]];
  const weights = order.map((id) => Math.exp(scores[id] - largest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  let count = 0;
  while (count < order.length && (count === 0 || sum < p * total)) sum += weights[count++];
  return order.slice(0, count).sort((a, b) => a - b);
}
