/** One key floods with ten times what the server can do, another sends a little; and who obeys Retry-After is served. */

import { lineOf } from "./checks.mjs";
import { figuresOf } from "./figures.mjs";
import { untilIdle } from "./metrics.mjs";
import { closedLoop, openLoop, poisson, randomOf } from "./open-loop.mjs";

const SEED = 7;
/** The quiet key's rate, by what the server can do: less than its half. */
const QUIET = 0.2;
/** Retries of `openai`'s clients, when nobody says otherwise. */
const RETRIES = 2;
/** Of those that obey, at least: turns are reckoned by what answers took, and a machine may slow down meanwhile. */
const SERVED = 0.95;

/** @param what `{ name, url, keys: [flood, quiet], job, long, capacity, seconds, deadlineMs }` */
export async function fairness(what, { check }) {
  const { name, url, keys, job, long, capacity, seconds, deadlineMs, short } = what;
  const [flood, quiet] = keys;
  const random = randomOf(SEED);
  const results = {};
  for (const [kind, make] of Object.entries({
    alike: job,
    ...(!short && { "long prompts": long }),
  })) {
    const outcomes = await openLoop(url, [
      {
        name: "flood",
        times: poisson(10 * capacity, seconds, random),
        job: () => ({ ...make(random), key: flood }),
      },
      {
        name: "quiet",
        times: poisson(QUIET * capacity, seconds, random),
        job: () => ({ ...job(random), key: quiet }),
      },
    ]);
    const of = (flow) =>
      figuresOf(
        outcomes.filter((one) => one.flow === flow),
        { seconds, deadlineMs },
      );
    const [all, few] = [of("flood"), of("quiet")];
    results[kind] = { flood: all, quiet: few };
    console.log(lineOf(`${name} flood`, all));
    console.log(lineOf(`${name} quiet`, few));
    check(
      `${name}, ${kind}: the quiet key is served`,
      few.refused === 0 && few.done === few.asked,
      `${few.done} of ${few.asked}`,
    );
    check(
      `${name}, ${kind}: its first token by the flooding key's`,
      few.first_ms.p50 <= 0.5 * all.first_ms.p50,
      `${(few.first_ms.p50 / all.first_ms.p50).toFixed(2)} (${few.first_ms.p50?.toFixed(0)} and ${all.first_ms.p50?.toFixed(0)} ms)`,
    );
    await untilIdle(url, quiet);
  }
  return results;
}

/** Many come at once, more than the queue holds, and obey what they are told. */
export async function obeying(what, { check }) {
  const { name, url, keys, job, burst } = what;
  const random = randomOf(SEED);
  const times = Array.from({ length: burst }, () => 0);
  const [key] = keys;
  // How long an answer takes is known then.
  await closedLoop(url, { count: 4, times: 40, job: () => ({ ...job(random), key }) });
  const outcomes = await openLoop(url, [
    { name: "obeys", times, job: () => ({ ...job(random), key }), obeys: RETRIES },
  ]);
  const served = outcomes.filter(({ end }) => end === "done").length;
  const refusals = outcomes.reduce((sum, { refusedMs }) => sum + refusedMs.length, 0);
  const seconds = Math.max(...outcomes.map(({ endedMs }) => endedMs)) / 1000;
  check(
    `${name}: of ${burst} at once that obey Retry-After, served within ${RETRIES} retries`,
    served >= SERVED * burst,
    `${served}, after ${refusals} refusals, in ${seconds.toFixed(1)} s`,
  );
  return { burst, served, refusals, seconds };
}
