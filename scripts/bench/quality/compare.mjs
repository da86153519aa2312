// Several forms of one model side by side over a text: perplexity of each, and how far its
// distributions are from the reference's.
/** Tokens of a window; windows are independent, and the first token of each is not scored. */
export const WINDOW = 1024;

/** Rows of a batch, all with logits. */
export const CHUNK = 64;

function logSumExp(logits) {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) if (logits[i] > max) max = logits[i];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - max);
  return max + Math.log(sum);
}

/**
 * Runs `reference` and each of `runners` over the ids, chunk by chunk, so that the reference's
 * logits are held for one chunk only.
 *
 * @returns per runner, the reference first: ppl, and kl, the mean over positions of KL(reference || it)
 */
export async function compareRunners(reference, runners, ids, onProgress) {
  const vocab = reference.vocab;
  const probabilities = new Float32Array(CHUNK * vocab);
  const entropies = new Float64Array(CHUNK);
  const sums = [reference, ...runners].map(() => ({ nll: 0, kl: 0 }));
  let tokens = 0;
  for (let window = 0; window < ids.length; window += WINDOW) {
    const end = Math.min(window + WINDOW, ids.length);
    for (let at = window; at < end; at += CHUNK) {
      const count = Math.min(CHUNK, end - at);
      const rows = [...Array(count).keys()].filter((i) => at + i + 1 < end);
      const batch = {
        ids: ids.slice(at, at + count),
        spans: [{ slot: 0, start: at - window, count }],
        logitsRows: rows,
      };
      await reference.forward(batch);
      for (const row of rows) {
        const logits = reference.logits(row);
        const normalizer = logSumExp(logits);
        const p = probabilities.subarray(row * vocab, (row + 1) * vocab);
        let entropy = 0;
        for (let i = 0; i < vocab; i++) {
          p[i] = Math.exp(logits[i] - normalizer);
          entropy += p[i] * (logits[i] - normalizer);
        }
        entropies[row] = entropy;
        sums[0].nll += normalizer - logits[ids[at + row + 1]];
      }
      for (const [i, runner] of runners.entries()) {
        await runner.forward(batch);
        const sum = sums[i + 1];
        for (const row of rows) {
          const logits = runner.logits(row);
          const normalizer = logSumExp(logits);
          const p = probabilities.subarray(row * vocab, (row + 1) * vocab);
          let cross = 0;
          for (let j = 0; j < vocab; j++) cross += p[j] * logits[j];
          sum.nll += normalizer - logits[ids[at + row + 1]];
          sum.kl += entropies[row] - cross + normalizer;
        }
      }
      tokens += rows.length;
      onProgress?.(at + count, ids.length);
    }
  }
  return sums.map(({ nll, kl }) => ({ ppl: Math.exp(nll / tokens), kl: kl / tokens, tokens }));
}
