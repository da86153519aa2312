/**
 * Load by a schedule: requests leave when their time has come, whatever became of those before them, as independent
 * clients do. A closed loop would slow down with the server and never overload it.
 *
 * Why own code: autocannon and wrk wait for answers before they ask again; k6 and vegeta keep rates, but hand out a body
 * when it is whole, so that they know no first token and no gaps; guidellm and vLLM's bench know both, but bring
 * gigabytes of Python, and mix no aborts, several keys and clients that obey Retry-After in one schedule.
 */
import { Agent } from "node:http";
import { send } from "./request.mjs";

/** A seeded generator of numbers in [0, 1): mulberry32. */
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Times of a Poisson process, in ms from 0 to `seconds`. */
export function poisson(perSecond, seconds, random) {
  const times = [];
  for (let at = 0; ; ) {
    at -= (Math.log(1 - random()) / perSecond) * 1000;
    if (at >= seconds * 1000) return times;
    times.push(at);
  }
}

/**
 * Sends each flow's jobs at its own times and waits for all of them to end.
 *
 * @param flows `[{ name, times, job: (i) => job, obeys?: retries at most }]`
 * @returns outcomes in order of arrival, each with `flow`, `atMs` (by the schedule), `lateMs` (of this client, not of the
 *   server) and `attempts`.
 */
export async function openLoop(url, flows) {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const arrivals = flows
    .flatMap(({ name, times, job, obeys = 0 }) =>
      times.map((atMs, i) => ({ flow: name, atMs, job: job(i), obeys })),
    )
    .sort((a, b) => a.atMs - b.atMs);
  const started = performance.now();
  const running = [];
  for (const arrival of arrivals) {
    const wait = arrival.atMs - (performance.now() - started);
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    running.push(run(agent, url, arrival, started));
  }
  const outcomes = await Promise.all(running);
  agent.destroy();
  return outcomes;
}

/** One client: with `obeys`, it comes back when it is told to. */
async function run(agent, url, { flow, atMs, job, obeys }, started) {
  const lateMs = performance.now() - started - atMs;
  const refusedMs = [];
  for (let attempt = 1; ; attempt++) {
    const outcome = await send(agent, url, job);
    if (outcome.end === "refused" && outcome.retryAfterMs !== undefined && attempt <= obeys) {
      refusedMs.push(outcome.ms);
      await new Promise((resolve) => setTimeout(resolve, outcome.retryAfterMs));
      continue;
    }
    const endedMs = performance.now() - started;
    return { ...outcome, flow, atMs, lateMs, attempts: attempt, refusedMs, endedMs };
  }
}

/** `count` clients that ask again as soon as they are answered, for `seconds` or so many `times` in all: what a server can do at most. */
export async function closedLoop(
  url,
  { count, seconds = Number.POSITIVE_INFINITY, times = Number.POSITIVE_INFINITY, job },
) {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const started = performance.now();
  const outcomes = [];
  let begun = 0;
  const isOver = () => begun >= times || performance.now() - started > seconds * 1000;
  await Promise.all(
    Array.from({ length: count }, async () => {
      while (!isOver()) outcomes.push(await send(agent, url, job(begun++)));
    }),
  );
  agent.destroy();
  return { outcomes, seconds: (performance.now() - started) / 1000 };
}
