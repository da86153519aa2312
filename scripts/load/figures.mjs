/** Outcomes of a load as figures. */

/** Of sorted or unsorted numbers, by the nearest rank; undefined for none. */
export function percentile(values, share) {
  if (values.length === 0) return undefined;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
}

const spread = (values) =>
  Object.fromEntries([50, 90, 99].map((p) => [`p${p}`, percentile(values, p / 100)]));

/** Streams that were between their first token and their end at the same time, at most. */
function mostHeld(outcomes) {
  const steps = outcomes
    .filter(({ firstMs }) => firstMs !== undefined)
    .flatMap(({ sentMs, firstMs, ms }) => [
      [sentMs + firstMs, 1],
      [sentMs + ms, -1],
    ])
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let held = 0;
  let most = 0;
  for (const [, step] of steps) {
    held += step;
    most = Math.max(most, held);
  }
  return most;
}

/** @param seconds of arrivals. @param deadlineMs from the arrival to the last byte. */
export function figuresOf(outcomes, { seconds, deadlineMs }) {
  const done = outcomes.filter(({ end }) => end === "done");
  const inTime = done.filter(({ ms }) => ms <= deadlineMs);
  const refused = outcomes.filter(({ end }) => end === "refused");
  const lastMs = Math.max(0, ...done.map(({ endedMs = 0 }) => endedMs));
  const busy = Math.max(seconds, lastMs / 1000);
  const statuses = {};
  for (const { status, end, failure } of outcomes) {
    const name = end === "done" ? "200" : `${end} ${status}${failure ? ` ${failure}` : ""}`;
    statuses[name] = (statuses[name] ?? 0) + 1;
  }
  return {
    asked: outcomes.length,
    asked_per_second: outcomes.length / seconds,
    done: done.length,
    in_time: inTime.length,
    goodput: inTime.length / busy,
    tokens_per_second: done.reduce((sum, { tokens }) => sum + tokens, 0) / busy,
    held: mostHeld(outcomes),
    first_ms: spread(done.flatMap(({ firstMs }) => (firstMs === undefined ? [] : [firstMs]))),
    gap_ms: spread(done.flatMap(({ gaps }) => gaps)),
    whole_ms: spread(done.map(({ ms }) => ms)),
    refused: refused.length,
    refused_ms: spread(refused.map(({ ms }) => ms)),
    retry_after_ms: spread(refused.flatMap(({ retryAfterMs }) => retryAfterMs ?? [])),
    without_retry_after: refused.filter(({ hasRetryAfter }) => !hasRetryAfter).length,
    statuses,
    client_late_ms: percentile(
      outcomes.map(({ lateMs = 0 }) => lateMs),
      0.99,
    ),
  };
}

/**
 * The least-squares slope of `values` over `at`, with the half width of its 95 % confidence interval by the residuals
 * (Student's t of many points: 1.96; of few it is a little wider than said).
 */
export function slopeOf(at, values) {
  const n = at.length;
  const mean = (list) => list.reduce((sum, one) => sum + one, 0) / n;
  const [x, y] = [mean(at), mean(values)];
  const sxx = at.reduce((sum, one) => sum + (one - x) ** 2, 0);
  const slope = at.reduce((sum, one, i) => sum + (one - x) * (values[i] - y), 0) / sxx;
  const residual = at.reduce((sum, one, i) => sum + (values[i] - y - slope * (one - x)) ** 2, 0);
  return { slope, half: 1.96 * Math.sqrt(residual / (n - 2) / sxx) };
}
