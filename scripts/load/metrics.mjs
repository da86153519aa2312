/** What the server says of itself while it is under load. */
const EVERY_MS = 250;
const LIMIT_MS = 20_000;

export async function gauges(url, key) {
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const response = await fetch(`${url}/metrics`, {
    headers,
    signal: AbortSignal.timeout(LIMIT_MS),
  });
  const text = await response.text();
  const of = (name) => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(text)?.[1]);
  return {
    queue: of("pronk_queue_depth"),
    busy: of("pronk_slots_busy"),
    slots: of("pronk_slots"),
    inFlight: of("pronk_requests_in_flight"),
    memory: of("pronk_memory_bytes"),
  };
}

/** Looks again and again until stopped. @returns the largest of each that was seen. */
export function watch(url, key) {
  const most = { queue: 0, busy: 0, inFlight: 0 };
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const seen = await gauges(url, key).catch(() => undefined);
      if (seen) for (const name of Object.keys(most)) most[name] = Math.max(most[name], seen[name]);
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  })();
  return async () => {
    isOver = true;
    await watching;
    return most;
  };
}

/** Until nothing runs or waits any more; how long that took, in ms. */
export async function untilIdle(url, key) {
  const from = performance.now();
  for (;;) {
    const { queue, busy } = await gauges(url, key);
    if (queue === 0 && busy === 0) return performance.now() - from;
    if (performance.now() - from > 3 * LIMIT_MS) throw new Error("load: it does not become idle");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
