/** Requests of every kind and every end, two thousand and more: what the server holds afterwards, by a line through it. */
import { Agent } from "node:http";
import { slopeOf } from "./figures.mjs";
import { words } from "./jobs.mjs";
import { gauges, untilIdle } from "./metrics.mjs";
import { randomOf } from "./open-loop.mjs";
import { send } from "./request.mjs";
import { probe } from "./servers.mjs";

const SEED = 11;
/** Between two looks. */
const ROUND = 100;
/** Of them until code is compiled and what is kept by intent (grammars, buffers) has its size. */
const WARM_ROUNDS = 20;
/** Bytes a request of heap that may stay, at most: a record, a listener or a timer that is left behind takes more. */
const HEAP_SLOPE = 100;
/** Of the whole process, which also has what the allocator has not given back yet. */
const RSS_SLOPE = 4000;

/** Kinds of requests; each becomes one, by chance the same at every run. */
export function kindsOf({ model, key, snapshot }, random) {
  const chat = (more = {}) => ({
    model,
    messages: [{ role: "user", content: words(4, random) }],
    max_tokens: 8,
    ignore_eos: true,
    ...more,
  });
  const schema = {
    type: "object",
    properties: { a: { type: "integer" }, b: { enum: ["x", "y"] } },
    required: ["a", "b"],
  };
  const tools = [{ type: "function", function: { name: "look", parameters: schema } }];
  const stream = { stream: true };
  const ended = { streamed: { body: chat(stream), key } };
  return {
    ...ended,
    whole: { body: chat(), key },
    choices: { body: chat({ n: 3, temperature: 1 }), key },
    aborted: { body: chat({ ...stream, max_tokens: 64 }), key, abortAfter: 2 },
    "aborted at once": { body: chat({ ...stream, max_tokens: 64 }), key, abortMs: 0 },
    "aborted in the queue": { body: chat({ ...stream, max_tokens: 64 }), key, abortMs: 3 },
    tools: {
      body: chat({ ...stream, tools, tool_choice: "required", ignore_eos: false, max_tokens: 40 }),
      key,
    },
    grammar: {
      body: chat({
        ignore_eos: false,
        max_tokens: 40,
        response_format: { type: "json_schema", json_schema: { name: "s", schema } },
      }),
      key,
    },
    "another grammar": {
      body: chat({
        ignore_eos: false,
        max_tokens: 12,
        guided_regex: `[a-${"klmnop"[Math.floor(random() * 6)]}]{1,20}`,
      }),
      key,
    },
    completion: {
      path: "/v1/completions",
      body: { model, prompt: words(5, random), max_tokens: 6, logprobs: 2, echo: true },
      key,
    },
    snapshot: {
      path: "/v1/completions",
      body: { model, prompt: `${snapshot} ${words(2, random)}`, max_tokens: 4 },
      key,
    },
    resumed: {
      body: chat({ ...stream, resume: true, temperature: 0, max_time: 0.004, max_tokens: 64 }),
      key,
    },
    response: {
      path: "/v1/responses",
      body: { model, input: words(3, random), max_output_tokens: 16, store: false },
      key,
    },
    anthropic: {
      path: "/v1/messages",
      body: { model, max_tokens: 6, messages: [{ role: "user", content: "a" }] },
      key,
    },
    ollama: {
      path: "/api/chat",
      body: { model, messages: [{ role: "user", content: "a" }], options: { num_predict: 6 } },
      key,
    },
    embedding: { path: "/v1/embeddings", body: { model, input: [words(4, random), "b"] }, key },
    score: { path: "/score", body: { model, context: "a", continuations: [" b", " c"] }, key },
    "wrong body": { body: chat({ temperature: -1 }), key },
    "no JSON": { body: "{", key },
    "no key": { body: chat(), key: "another" },
    "no model": { body: chat({ model: "none" }), key },
    "too long": { body: chat({ messages: [{ role: "user", content: words(2000, random) }] }), key },
    "unsupported schema": {
      body: chat({
        response_format: {
          type: "json_schema",
          json_schema: { name: "s", schema: { $dynamicRef: "#a" } },
        },
      }),
      key,
    },
    "no route": { path: `/none/${Math.floor(random() * 1e9)}`, body: {}, key },
  };
}

/** @param what `{ name, url, child, key, model, snapshot, requests, isPlanted? }`; the server's process has the probe. */
export async function leak(what, { check }) {
  const { name, url, child, key, requests } = what;
  const random = randomOf(SEED);
  const agent = new Agent({ keepAlive: true, maxSockets: 12 });
  const counts = {};
  const seen = { at: [], heap: [], rss: [], handles: [], memory: [], arrayBuffers: [] };
  let first;
  for (let round = 0; round < requests / ROUND + WARM_ROUNDS; round++) {
    const kinds = Array.from({ length: ROUND }, (_, i) => {
      const made = Object.entries(kindsOf(what, random));
      return made[i % made.length];
    });
    // Twelve sockets: more than slots and queue, so that some are refused.
    await Promise.all(
      kinds.map(async ([kind, job]) => {
        const { status, end, failure } = await send(agent, url, job);
        const result = `${kind}: ${end === "done" ? 200 : `${end} ${status} ${failure ?? ""}`.trim()}`;
        counts[result] = (counts[result] ?? 0) + 1;
      }),
    );
    await untilIdle(url, key);
    if (round < WARM_ROUNDS) continue;
    const held = await probe(child);
    const { memory, inFlight } = await gauges(url, key);
    first ??= { ...held, inFlight };
    seen.at.push((round - WARM_ROUNDS) * ROUND);
    for (const of of ["heap", "rss", "handles", "arrayBuffers"]) seen[of].push(held[of]);
    seen.memory.push(memory);
  }
  agent.destroy();
  // Those of this client are closed; one is the scrape's.
  await new Promise((resolve) => setTimeout(resolve, 200));
  const last = { ...(await probe(child)), ...(await gauges(url, key)) };
  const slopes = {
    heap: slopeOf(seen.at, seen.heap),
    rss: slopeOf(seen.at, seen.rss),
    arrayBuffers: slopeOf(seen.at, seen.arrayBuffers),
  };
  const text = ({ slope, half }) => `${slope.toFixed(0)} ± ${half.toFixed(0)} bytes a request`;
  const results = { requests: seen.at.length * ROUND, counts, slopes, first, last, seen };
  console.log(`${name}: ${Object.keys(counts).length} kinds of ends: ${JSON.stringify(counts)}`);
  check(
    `${name}: the heap does not grow`,
    slopes.heap.slope - slopes.heap.half <= HEAP_SLOPE,
    text(slopes.heap),
  );
  check(
    `${name}: nor do buffers`,
    slopes.arrayBuffers.slope - slopes.arrayBuffers.half <= HEAP_SLOPE,
    text(slopes.arrayBuffers),
  );
  check(
    `${name}: nor does the process`,
    slopes.rss.slope - slopes.rss.half <= RSS_SLOPE,
    text(slopes.rss),
  );
  check(
    `${name}: WebAssembly memory is what was planned`,
    new Set(seen.memory).size === 1,
    `${seen.memory.at(-1)} bytes`,
  );
  check(
    `${name}: no slot, place or answer is left`,
    last.busy === 0 && last.queue === 0 && last.inFlight <= 1,
    `${last.busy}, ${last.queue}, ${last.inFlight - 1}`,
  );
  check(
    `${name}: no handle is left`,
    last.handles <= first.handles,
    `${first.handles} before, ${last.handles} after`,
  );
  return results;
}
