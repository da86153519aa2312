/** The side that has the engine: answers what is asked on a channel, one request each. */
import type { LocalEngine } from "../engine/create-engine.ts";
import type { Engine, Generation } from "../engine/engine.ts";
import { PronkError } from "../errors.ts";
import type { GenerateRequest, GenerateResult } from "../generate/request.ts";
import type { Channel } from "./channel.ts";
import {
  type Asked,
  CALLS,
  fromWireRequest,
  type Heard,
  SILENCE_MS,
  type Told,
  toWireError,
  WINDOW_PARTS,
  type WireCall,
} from "./messages.ts";
import { platformTimer, type Timer } from "./timer.ts";

/** A generation that is asked for. */
export interface EngineTurn {
  readonly request: GenerateRequest;
  /** Whose prefixes it shares: `cacheSalt` of the engine's calls. */
  readonly cacheSalt: string | undefined;
}

export interface EngineHost<Hosted extends Engine = LocalEngine> {
  /** The engine, loaded now if need be. @param onProgress from 0 to 1. */
  engine(onProgress: (fraction: number) => void): Promise<Hosted>;
  /** Waited for before a generation begins; what it throws is not the generation's failure. */
  beforeTurn?(engine: Hosted, turn: EngineTurn): Promise<void>;
  /** After a generation was told to its end. */
  afterTurn?(engine: Hosted, turn: EngineTurn, result: GenerateResult): Promise<void>;
  /** What went wrong beside what was asked for. */
  onError?(error: unknown): void;
  /** Default: by setTimeout. */
  readonly timer?: Timer;
}

/** Settles when the channel's request has ended, whatever came of it. */
export async function serveEngine<Hosted extends Engine>(
  channel: Channel,
  host: EngineHost<Hosted>,
): Promise<void> {
  const abort = new AbortController();
  const reader = new RemoteReader();
  const tell = (head: Told, body?: Uint8Array): void => channel.send({ head, body });
  const { timer = platformTimer } = host;
  const leave = (): void => {
    stop();
    abort.abort();
    reader.leave();
  };
  // Not every transport tells that the other side is gone: the slot is held by a lease.
  let stop = timer(SILENCE_MS, () => channel.close());
  const asked = await new Promise<Asked | undefined>((resolve) => {
    channel.listen({
      message({ head }) {
        stop();
        stop = timer(SILENCE_MS, () => channel.close());
        const heard = head as Heard | Asked;
        if ("ping" in heard) tell({ pong: true });
        else if ("read" in heard) reader.hasRead(heard.read);
        else resolve(heard);
      },
      closed() {
        leave();
        resolve(undefined);
      },
    });
  });
  if (asked === undefined) return;
  try {
    const engine = await host.engine((loading) => tell({ loading }));
    await answer(asked, engine, host, { abort, reader, tell });
  } catch (error) {
    if (!(error instanceof PronkError)) host.onError?.(error);
    tell({ error: toWireError(error) });
  } finally {
    stop();
  }
}

interface Answering {
  readonly abort: AbortController;
  readonly reader: RemoteReader;
  tell(head: Told, body?: Uint8Array): void;
}

async function answer<Hosted extends Engine>(
  asked: Asked,
  engine: Hosted,
  host: EngineHost<Hosted>,
  answering: Answering,
): Promise<void> {
  const { abort, tell } = answering;
  const { info, contextShift, adapters, snapshots } = engine;
  if (asked.ask === "describe") {
    tell({ description: { info, contextShift, adapters, snapshots, stats: engine.stats() } });
    return;
  }
  if (asked.fingerprint !== info.fingerprint) {
    const why = `the model is ${info.fingerprint} now, asked for was ${asked.fingerprint}`;
    tell({ error: { code: "unavailable", message: `remote engine: ${why}`, changed: true } });
    return;
  }
  if (asked.ask === "stream") {
    await answerStream(fromWireRequest(asked.request), asked.call, engine, host, answering);
    return;
  }
  if (!CALLS.includes(asked.ask)) {
    throw new PronkError("unsupported", "remote engine: no such method");
  }
  const [first, options] = asked.args as [never, object | undefined];
  // A view of the engine's method with its own arguments: what is wrong with them it says itself.
  const method = engine[asked.ask] as (of: never, with_: object) => Promise<unknown>;
  const value = await method.call(engine, first, { ...options, signal: abort.signal });
  const stats = engine.stats();
  if (value instanceof Uint8Array) tell({ bytes: true, stats }, value);
  else if (isVectors(value)) {
    tell({ vectors: value.map(({ length }) => length), stats }, joined(value));
  } else tell({ value, stats });
}

async function answerStream<Hosted extends Engine>(
  request: GenerateRequest,
  call: WireCall | undefined,
  engine: Hosted,
  host: EngineHost<Hosted>,
  { abort, reader, tell }: Answering,
): Promise<void> {
  const aside = async (work: Promise<void> | undefined): Promise<void> => {
    try {
      await work;
    } catch (error) {
      host.onError?.(error);
    }
  };
  const turn = { request, cacheSalt: call?.cacheSalt };
  await aside(host.beforeTurn?.(engine, turn));
  const generation: Generation = engine.stream(request, { ...call, signal: abort.signal });
  for await (const part of generation) {
    tell({ part });
    // Not read on: the engine gives the slot to others then, and after a minute the generation up.
    await reader.room();
  }
  const result = await generation.result;
  tell({ result, stats: engine.stats() });
  await aside(host.afterTurn?.(engine, turn, result));
}

/** How far the other side has read. */
class RemoteReader {
  #unread = 0;
  #wake: (() => void) | undefined;
  #isGone = false;

  /** After a part was sent: waits until another one may be. */
  async room(): Promise<void> {
    this.#unread++;
    while (this.#unread >= WINDOW_PARTS && !this.#isGone) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  hasRead(parts: number): void {
    this.#unread = Math.max(0, this.#unread - (parts > 0 ? parts : 0));
    this.#wake?.();
  }

  leave(): void {
    this.#isGone = true;
    this.#wake?.();
  }
}

function isVectors(value: unknown): value is Float32Array[] {
  return Array.isArray(value) && value.length > 0 && value[0] instanceof Float32Array;
}

function joined(vectors: readonly Float32Array[]): Uint8Array {
  const all = new Float32Array(vectors.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const vector of vectors) {
    all.set(vector, at);
    at += vector.length;
  }
  return new Uint8Array(all.buffer);
}
