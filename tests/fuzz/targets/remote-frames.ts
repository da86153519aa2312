/**
 * Frames between who asks an engine and who has it, in any order: twice, after the end, of no message. Either side says
 * what is wrong, or hangs up; the engine has no slot taken afterwards, and who asked gets an answer or an error.
 */
import { PronkError } from "../../../src/errors.ts";
import { type ChannelListener, channelPair } from "../../../src/remote/channel.ts";
import { decodeFrame, encodeFrame } from "../../../src/remote/frames.ts";
import { openRemoteEngine } from "../../../src/remote/remote-engine.ts";
import { serveEngine } from "../../../src/remote/serve-engine.ts";
import type { Timer } from "../../../src/remote/timer.ts";
import { type WebSocketLike, webSocketChannel } from "../../../src/remote/web-socket-channel.ts";
import { createToy, tokenizer } from "../../unit/server/toy-engine.ts";
import {
  editJson,
  isRecord,
  jsonInput,
  readJsonInput,
  replaceBroken,
  valuesLayout,
} from "../json-input.ts";
import type { Random } from "../random.ts";
import type { FuzzTarget, Probe } from "../target.ts";

const { engine } = createToy({ ctx: 128, slots: 2, maxQueue: 4 });
const fingerprint = engine.info.fingerprint;
const { info, contextShift, adapters, snapshots } = engine;
const described = { info, contextShift, adapters, snapshots, stats: engine.stats() };

/** Long waits are over when nothing else is to be done. */
const MAX_TURNS = 600;

/** `head` and `body`: a message. `text`, `bytes`: a frame as it stands. `close`. `turns`: waits. */
type Step = Record<string, unknown>;

const request = { prompt_ids: [1, 2, 3], max_tokens: 6, temperature: 0 };
const stats = described.stats;
const part = (token: number, text: string): Step => ({
  head: { part: { token, text, logprob: -1 } },
});
const result = {
  ids: [5, 6],
  text: "ab",
  finish_reason: "length",
  prompt_tokens: 3,
  cached_tokens: 0,
};

/** To the side that has the engine. */
const SERVED: readonly (readonly Step[])[] = [
  [{ head: { ask: "describe" } }],
  [
    { head: { ask: "stream", request, fingerprint } },
    { turns: 3 },
    { head: { read: 8 } },
    { head: { ping: true } },
    { turns: 20 },
  ],
  [
    {
      head: {
        ask: "stream",
        request: { ...request, logit_bias: [[5, 1]], grammar: { type: "regex", pattern: "[ab]+" } },
        fingerprint,
        call: { caller: "a", maxWaitMs: 9, cacheSalt: "s" },
      },
    },
    { turns: 2 },
    { close: true },
  ],
  [{ head: { ask: "embed", args: [[[1, 2, 3]], { pooling: "mean" }], fingerprint } }, { turns: 9 }],
  [
    {
      head: {
        ask: "scoreContinuations",
        args: [[{ prompt_ids: [1, 2], continuations: [[3], [4, 5]] }], {}],
        fingerprint,
      },
    },
    { turns: 9 },
  ],
  [{ head: { ask: "perplexity", args: [[1, 2, 3, 4], {}], fingerprint } }, { turns: 9 }],
  [{ head: { ask: "promptLogprobs", args: [[[1, 2, 3]], {}], fingerprint } }, { turns: 9 }],
];

/** To the side that asks. */
const ASKED: readonly (readonly Step[])[] = [
  [{ head: { loading: 0.5 } }, { head: { description: described } }],
  [{ head: { description: described } }, part(5, "a"), part(6, "b"), { head: { result, stats } }],
  [
    { head: { description: described } },
    { head: { pong: true } },
    { head: { vectors: [2], stats }, body: [0, 0, 128, 63, 0, 0, 0, 64] },
  ],
  [
    { head: { description: described } },
    part(5, "a"),
    { close: true },
    part(5, "a"),
    { head: { error: { code: "overloaded", message: "full", retryAfterMs: 5 } } },
  ],
  [
    { head: { description: described } },
    { head: { error: { code: "engine_failed", message: "trap", changed: true } } },
  ],
];

const seeds = [
  ...SERVED.map((steps) => jsonInput({ steps, side: "served" })),
  ...ASKED.map((steps) => jsonInput({ steps, side: "asked" })),
];

const isScript = ({ side, steps }: Record<string, unknown>): boolean =>
  (side === "served" || side === "asked") && Array.isArray(steps) && steps.every(isRecord);

const edit = editJson((value, random: Random) => {
  const steps = (Array.isArray(value.steps) ? value.steps : []) as Step[];
  const at = random.below(steps.length + 1);
  const all = random.pick(random.chance(0.5) ? SERVED : ASKED);
  const other: Step = random.pick(all);
  const odd = (): unknown =>
    random.pick([null, -1, 0, 1.5, 1e9, "", "x", [], {}, [[1]], true, "__proto__", [NaN], 2 ** 31]);
  random.pick<() => unknown>([
    () => steps.splice(at, 0, other),
    () => steps.splice(at, 0, ...steps.slice(0, 3)),
    () => steps.splice(at, 1),
    () =>
      steps.splice(
        at,
        0,
        random.pick<Step>([
          { close: true },
          { turns: random.below(20) },
          { text: "" },
          { text: "5" },
          { text: "{" },
          { bytes: [1, 0, 0, 0, 53] },
          { bytes: [255, 255, 255, 255] },
          { bytes: [] },
        ]),
      ),
    () => steps.splice(at, 0, { head: odd() }),
    () => {
      const step = steps[at];
      const head = step?.head;
      if (!isRecord(head)) return;
      const name = random.pick([
        ...Object.keys(head),
        "ask",
        "read",
        "ping",
        "part",
        "result",
        "error",
        "args",
      ]);
      head[name] = odd();
    },
    () => {
      const head = steps[at]?.head;
      const inner = isRecord(head)
        ? (head.request ?? head.part ?? head.result ?? head.error ?? head.args)
        : undefined;
      const names = [
        "prompt_ids",
        "max_tokens",
        "stop",
        "logit_bias",
        "grammar",
        "token",
        "text",
        "ids",
        "code",
        "message",
        "output_ids",
        "prediction_ids",
        "top_logprobs",
        "seed",
      ];
      if (isRecord(inner)) inner[random.pick(names)] = odd();
      if (Array.isArray(inner)) inner[random.below(2)] = odd();
    },
  ])();
  value.steps = steps.slice(0, 24);
});

/** A socket whose other end is the script. */
function scriptedSocket(): {
  socket: WebSocketLike;
  frames: unknown[];
  say(data: unknown): void;
  end(): void;
  isClosed(): boolean;
} {
  const listeners: Record<string, ((event: { data: unknown }) => void)[]> = {
    message: [],
    close: [],
    error: [],
  };
  const frames: unknown[] = [];
  let closed = false;
  const end = (): void => {
    if (closed) return;
    closed = true;
    for (const listen of listeners.close!) listen({ data: undefined });
  };
  const socket: WebSocketLike = {
    send: (data) => {
      if (closed) throw new Error("closed");
      frames.push(data);
    },
    close: end,
    addEventListener: (type: string, listen: (event: { data: unknown }) => void) =>
      void listeners[type]!.push(listen),
  };
  return {
    socket,
    frames,
    say: (data) => {
      if (!closed) for (const listen of listeners.message!) listen({ data });
    },
    end,
    isClosed: () => closed,
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What a step is on the wire. */
function frameOf(step: Step): unknown {
  if (typeof step.text === "string") return step.text;
  if (Array.isArray(step.bytes))
    return Uint8Array.from(step.bytes.filter((one) => typeof one === "number"));
  const body = Array.isArray(step.body)
    ? Uint8Array.from(step.body.filter((one) => typeof one === "number"))
    : undefined;
  try {
    return encodeFrame({ head: step.head ?? null, body });
  } catch {
    return "{"; // nested too deeply to be written
  }
}

async function play(
  steps: readonly Step[],
  say: (frame: unknown) => void,
  end: () => void,
): Promise<void> {
  for (const step of steps) {
    if (step.close === true) end();
    else if (typeof step.turns === "number")
      for (let i = 0; i < Math.min(30, step.turns); i++) await turn();
    else say(frameOf(step));
    await Promise.resolve();
  }
}

/** Timers that run when the test says so. */
function manualTimers(): { timer: Timer; runAll(): void } {
  let waiting: (() => void)[] = [];
  return {
    timer: (_, run) => {
      waiting.push(run);
      return () => {
        waiting = waiting.filter((one) => one !== run);
      };
    },
    runAll: () => {
      const [...now] = waiting;
      waiting = [];
      for (const run of now) run();
    },
  };
}

async function served(steps: readonly Step[], probe: Probe): Promise<void> {
  const { socket, frames, say, end } = scriptedSocket();
  const { timer } = manualTimers();
  const done = serveEngine(webSocketChannel(socket), {
    engine: async () => engine,
    timer,
  });
  await play(steps, say, end);
  for (let i = 0; i < 20; i++) await turn();
  end();
  await within(done, () => {}, "the engine's side");
  for (let turns = 0; engine.stats().busy > 0 || engine.stats().queued > 0; turns++) {
    if (turns > MAX_TURNS) throw new Error(`${engine.stats().busy} slots stay taken`);
    await turn();
  }
  for (const frame of frames) {
    const { head } = decodeFrame(frame as string | Uint8Array);
    for (const name of Object.keys(head as object)) probe.saw(`told ${name}`);
    const { error } = head as { error?: { code: string; message: string } };
    if (error) probe.saw(`told ${error.code} ${error.message.replace(/\d+/g, "#").slice(0, 60)}`);
  }
}

async function asked(steps: readonly Step[], probe: Probe): Promise<void> {
  const { timer, runAll } = manualTimers();
  let left = steps;
  const peer = {
    name: "peer",
    async connect() {
      const { socket, say, end } = scriptedSocket();
      const now = left;
      // The first message of a script answers the first question; what follows, the next.
      void turn().then(async () => {
        const answers = now.slice(
          0,
          left === steps
            ? Math.max(
                1,
                now.findIndex((step) => isRecord(step.head) && "description" in step.head) + 1,
              )
            : now.length,
        );
        left = now.slice(answers.length);
        await play(answers, say, end);
        if (left.length === 0) end();
      });
      return webSocketChannel(socket);
    },
  };
  const outcome = async (work: Promise<unknown>): Promise<unknown> => {
    try {
      const value = await within(work, runAll, "who asks");
      probe.saw("answered");
      return value;
    } catch (error) {
      if (!(error instanceof PronkError)) throw error;
      probe.saw(`got ${error.code}`);
      return undefined;
    }
  };
  const remote = (await outcome(
    openRemoteEngine({
      peers: [peer],
      tokenizer,
      template: undefined,
      now: () => 0,
      randomSeed: () => 1,
      timer,
    }),
  )) as Awaited<ReturnType<typeof openRemoteEngine>> | undefined;
  if (!remote) return;
  await outcome(left.length % 2 === 0 ? remote.generate({ ...request }) : remote.embed([[1, 2]]));
}

async function within<T>(work: Promise<T>, nudge: () => void, who: string): Promise<T> {
  let isOver = false;
  const over = work.finally(() => {
    isOver = true;
  });
  over.catch(() => {});
  for (let turns = 0; !isOver; turns++) {
    if (turns > MAX_TURNS) throw new Error(`${who} waits for ever`);
    if (turns % 5 === 4) nudge();
    await turn();
  }
  return over;
}

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  const value = readJsonInput(input);
  if (!value || !isScript(value)) throw new PronkError("bad_request", "input: no script");
  probe.pastHeader();
  const steps = value.steps as Step[];
  await (value.side === "served" ? served(steps, probe) : asked(steps, probe));
  // Over both ends of this process, too: the same frames.
  const [mine, theirs] = channelPair();
  const heard: ChannelListener = { message: () => {}, closed: () => {} };
  theirs.listen(heard);
  mine.close();
}

export const target: FuzzTarget = {
  seeds: () => seeds,
  layout: (input) => valuesLayout(input, (text) => /served|asked/.test(text)),
  edits: [edit],
  finish: replaceBroken(seeds, isScript, edit),
  run,
  planted: {
    name: "what a peer says of itself is not looked at",
    file: "src/remote/check-told.ts",
    find: 'checkDescription(recordOf(message.description, "a description"));',
    replace: "{}",
  },
};
