/** Clients that do not read, that come and go by the hundred, that obey, and those that ask while the server ends. */
import { connect } from "node:net";
import { gauges, untilIdle } from "./metrics.mjs";
import { closedLoop, openLoop, poisson, randomOf } from "./open-loop.mjs";
import { probe } from "./servers.mjs";

const SEED = 5;
/** More than there are slots. */
const SLOW_READERS = 6;
/** Of a stream that is long enough to fill every buffer between the two: some 10 MB. */
const LONG = {
  n: 32,
  max_tokens: 200,
  ignore_eos: true,
  temperature: 1,
  stream: true,
  logprobs: true,
  top_logprobs: 20,
};
/**
 * What a stream that is not read may keep in the server: chunks, 64 parts and the log-probabilities of the four choices
 * that run (200 tokens of 20 each); what the system has is not in it.
 */
const SLOW_BYTES = 2 * 2 ** 20;
const STORM = 600;
/** More than the machine does in that time. */
const DRAIN_SECONDS = 2;

/** @param what `{ name, url, child, key, model, job }` */
export async function rough(what, checks) {
  const slow = await slowReaders(what, checks);
  const storm = await connectionStorm(what, checks);
  const drain = await draining(what, checks);
  return { slow, storm, drain };
}

const heldBy = async (child) => {
  const { heap, external } = await probe(child);
  return heap + external;
};

function raw(url, key, path, body) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  const text = JSON.stringify(body);
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
  return socket;
}

async function slowReaders({ name, url, child, key, model, job }, { check }) {
  const random = randomOf(SEED);
  await closedLoop(url, { count: 4, times: 40, job: () => job(random) });
  const before = await heldBy(child);
  const body = { model, messages: [{ role: "user", content: "a" }], ...LONG };
  const sockets = Array.from({ length: SLOW_READERS }, () =>
    raw(url, key, "/v1/chat/completions", body).pause(),
  );
  while ((await gauges(url, key)).busy === 0)
    await new Promise((resolve) => setTimeout(resolve, 20));
  await untilIdle(url, key); // the buffers are full
  const open = (await gauges(url, key)).inFlight - 1;
  const { outcomes } = await closedLoop(url, { count: 4, times: 40, job: () => job(random) });
  const served = outcomes.filter(({ end }) => end === "done").length;
  const grown = ((await heldBy(child)) - before) / SLOW_READERS;
  const { busy, queue } = await gauges(url, key);
  check(
    `${name}: beside ${SLOW_READERS} streams that nobody reads all others are served`,
    served === 40,
    `${served} of 40`,
  );
  check(
    `${name}: each of them keeps less than ${SLOW_BYTES} bytes`,
    grown <= SLOW_BYTES,
    `${grown.toFixed(0)} bytes`,
  );
  check(
    `${name}: they wait to be read, and hold neither slots nor places`,
    open === SLOW_READERS && busy === 0 && queue === 0,
    `${open} open, ${busy} and ${queue}`,
  );
  for (const socket of sockets) socket.destroy();
  await untilIdle(url, key);
  return { readers: SLOW_READERS, bytes: grown };
}

/** Connections that are opened and dropped in every phase: idle, in the head, in the body, waiting, streaming. */
async function connectionStorm({ name, url, key, model, job }, { check }) {
  const { hostname, port } = new URL(url);
  const head = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n";
  const chat = {
    model,
    messages: [{ role: "user", content: "a" }],
    max_tokens: 50,
    ignore_eos: true,
    stream: true,
  };
  const begun = ["", head, `${head}Content-Length: 1000\r\n\r\n{"model"`];
  const random = randomOf(SEED);
  await Promise.all(
    Array.from({ length: STORM }, async (_, i) => {
      await new Promise((resolve) => setTimeout(resolve, random() * 1500));
      const phase = i % 5;
      const socket =
        phase < 3 ? connect(Number(port), hostname) : raw(url, key, "/v1/chat/completions", chat);
      socket.on("error", () => {});
      if (phase < 3) socket.write(begun[phase]);
      if (phase === 4)
        await new Promise((resolve) => socket.once("data", resolve).once("close", resolve));
      else await new Promise((resolve) => setTimeout(resolve, random() * 300));
      socket.resetAndDestroy();
    }),
  );
  await untilIdle(url, key);
  const { outcomes } = await closedLoop(url, { count: 4, times: 8, job: () => job(random) });
  const { inFlight } = await gauges(url, key);
  const served = outcomes.filter(({ end }) => end === "done").length;
  check(
    `${name}: after ${STORM} connections dropped in every phase all is as before`,
    served === 8 && inFlight === 1,
    `${served} of 8 served, ${inFlight - 1} left`,
  );
  return { connections: STORM };
}

/** Told to end under load: what has begun ends whole, what comes is refused, nothing is cut. */
async function draining({ name, url, child, job }, { check }) {
  const random = randomOf(SEED);
  const flow = {
    name: "drain",
    times: poisson(100, DRAIN_SECONDS, random),
    job: () => job(random),
  };
  const exit = new Promise((resolve) => child.once("exit", resolve));
  setTimeout(() => child.kill("SIGTERM"), (1000 * DRAIN_SECONDS) / 2);
  const outcomes = await openLoop(url, [flow]);
  const counts = {};
  for (const { status, end, failure, error } of outcomes) {
    const result = end === "done" ? "200" : [end, status, failure ?? error].join(" ");
    counts[result] = (counts[result] ?? 0) + 1;
  }
  // A connection that was never answered is one that a load balancer sends elsewhere.
  const cut = outcomes.filter(({ end, status }) => status === 200 && end !== "done").length;
  check(
    `${name}: told to end under load, no answer that had begun is cut`,
    cut === 0,
    JSON.stringify(counts),
  );
  check(`${name}: and it ends with 0`, (await exit) === 0, "exit code");
  return counts;
}
