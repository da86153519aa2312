/** From what the server can do to ten times as much, and back. */

import { lineOf } from "./checks.mjs";
import { figuresOf, percentile } from "./figures.mjs";
import { untilIdle, watch } from "./metrics.mjs";
import { closedLoop, openLoop, poisson, randomOf } from "./open-loop.mjs";

/** Requests that are sent one by one before and after the load. */
const ALONE = 7;

const SEED = 20261122;

/** Requests a slot that may wait in any case (src/engine/admission.ts). */
const ALWAYS = 4;
const SLOWEST = 3;

/** Goodput at ten times the load by its peak, at least; of some seconds on a shared machine only that it does not fall apart. */
const KEPT = 0.9;
const KEPT_SHORT = 0.6;

/** First tokens after the load by those before it, at most: what is left over would be a multiple. */
const RECOVERED = 2.5;

/**
 * @param what `{ name, url, key?, job, streams, steps, seconds, deadlineMs, maxQueue, short }`: `job(random)` makes a
 *   request, `streams` run at a time.
 */
export async function overload(what, { check }) {
  const { name, url, key, job, streams, steps, seconds, waitMs, maxQueue, short } = what;
  const random = randomOf(SEED);
  const one = () => job(random);
  const alone = async () => {
    const { outcomes } = await closedLoop(url, { count: 1, times: ALONE, job: one });
    return percentile(
      outcomes.map(({ firstMs = Number.POSITIVE_INFINITY }) => firstMs),
      0.5,
    );
  };
  await closedLoop(url, { count: streams, seconds: 2, job: one }); // warm
  const before = await alone();
  const most = await closedLoop(url, { count: streams, seconds, job: one });
  const usual = percentile(
    most.outcomes.map(({ ms }) => ms),
    0.5,
  );
  // As long as the server lets anybody wait, and what an answer takes: three times as long, on a machine that wavers.
  const deadlineMs = Math.max(waitMs, ALWAYS * usual) + SLOWEST * usual;
  const capacity = figuresOf(most.outcomes, { seconds: most.seconds, deadlineMs });
  console.log(lineOf(`${name} closed`, capacity));
  const results = { capacity, before_first_ms: before, steps: [] };
  for (const times of steps) {
    const stop = watch(url, key);
    const flows = [
      { name: "all", times: poisson(capacity.goodput * times, seconds, random), job: one },
    ];
    const outcomes = await openLoop(url, flows);
    const seen = await stop();
    const figures = figuresOf(outcomes, { seconds, deadlineMs });
    results.steps.push({ times, ...figures, seen });
    console.log(lineOf(`${name} ${times}x`, figures));
    await untilIdle(url, key);
  }
  // At once: the next request is alone again.
  const after = await alone();
  Object.assign(results, { after_first_ms: after, deadline_ms: deadlineMs });
  const peak = Math.max(capacity.goodput, ...results.steps.map(({ goodput }) => goodput));
  const last = results.steps.at(-1);
  check(
    `${name}: goodput at ${last.times}x by its peak, within ${(deadlineMs / 1000).toFixed(1)} s`,
    last.goodput >= (short ? KEPT_SHORT : KEPT) * peak,
    `${((100 * last.goodput) / peak).toFixed(0)} %`,
  );
  const queues = results.steps.map(({ seen }) => seen.queue);
  check(
    `${name}: the queue is bounded`,
    Math.max(...queues) <= maxQueue,
    `${queues.join(", ")} waited at most`,
  );
  const refusals = results.steps.flatMap(({ statuses }) => Object.keys(statuses));
  const allowed = ["200", "refused 429 rate_limit_exceeded", "refused 503 engine_unavailable"];
  const strange = [...new Set(refusals.filter((status) => !allowed.includes(status)))];
  check(
    `${name}: all else is refused with 429 or 503`,
    strange.length === 0,
    strange.join(", ") || "none otherwise",
  );
  const mute = results.steps.reduce((sum, step) => sum + step.without_retry_after, 0);
  check(`${name}: each refusal says when to come back`, mute === 0, `${mute} do not`);
  check(
    `${name}: the first token after the load by that before it`,
    after <= RECOVERED * before,
    `${(after / before).toFixed(2)} (${after.toFixed(0)} and ${before.toFixed(0)} ms)`,
  );
  return results;
}
