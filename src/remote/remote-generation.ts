/**
 * A generation on an engine elsewhere. When its engine is lost it is asked for again, there or of the next one, with
 * the tokens so far as `output_ids`: what follows is what would have followed, and readers notice nothing.
 */
import type { EngineStats, Generation } from "../engine/engine.ts";
import { Outlet } from "../engine/outlet.ts";
import { PronkError } from "../errors.ts";
import type { GenerateRequest, TokenPart } from "../generate/request.ts";
import { Exchange } from "./exchange.ts";
import {
  ACK_PARTS,
  fromWireError,
  fromWirePart,
  fromWireResult,
  type Told,
  toWireRequest,
  type WireCall,
} from "./messages.ts";
import { type EnginePeer, peerForTry } from "./peers.ts";
import type { Timer } from "./timer.ts";

/** Tries in a row that bring no new token, with these pauses in ms before each. An ended object is there at once. */
const PAUSES_MS: readonly number[] = [0, 50, 200, 800, 2000, 4000];

/** Of an engine that says it has failed: it is loaded again once, but what fails on every one is not tried for long. */
const MAX_FAILURES = 3;

/** What of the remote engine a request needs. */
export interface RemoteSetting {
  readonly timer: Timer;
  now(): number;
  readonly fingerprint: string;
  /** The engine has another model now. */
  changed(): void;
  learned(peer: EnginePeer, stats: EngineStats): void;
}

export function remoteGeneration(
  request: GenerateRequest & { readonly seed: number },
  ranked: readonly EnginePeer[],
  setting: RemoteSetting,
  { signal, call }: { readonly signal: AbortSignal | undefined; readonly call: WireCall },
): Generation {
  const generation = new RemoteGeneration(request, ranked, setting, call);
  generation.start(signal);
  return generation.outlet;
}

class RemoteGeneration {
  readonly outlet: Outlet = new Outlet();
  readonly #request: GenerateRequest;
  readonly #ranked: readonly EnginePeer[];
  readonly #setting: RemoteSetting;
  readonly #call: WireCall;
  readonly #startedMs: number;
  /** Tokens of the output, those that the request itself came with included. */
  readonly #ids: number[] = [];
  #exchange: Exchange | undefined;
  #stopPause: () => void = () => {};
  /** Parts of this exchange; the first of them repeat what is known. */
  #parts = 0;
  /** Tries since the last new token. */
  #tries = 0;
  #unacknowledged = 0;
  #isOver = false;
  #forget: () => void = () => {};

  constructor(
    request: GenerateRequest,
    ranked: readonly EnginePeer[],
    setting: RemoteSetting,
    call: WireCall,
  ) {
    this.#request = request;
    this.#call = call;
    this.#ranked = ranked;
    this.#setting = setting;
    this.#startedMs = setting.now();
  }

  start(signal: AbortSignal | undefined): void {
    const stop = (error: PronkError): void => {
      this.outlet.clear();
      this.#end(error);
    };
    const abort = (): void => stop(new PronkError("aborted", "aborted", { cause: signal?.reason }));
    this.outlet.listener = {
      read: (buffered) => {
        // What is buffered is counted when it is read, by whichever exchange there is then.
        if (this.outlet.iterated) this.#acknowledge(buffered);
      },
      cancel: () => this.#end(new PronkError("aborted", "generation: cancelled")),
    };
    if (signal?.aborted) {
      abort();
      return;
    }
    signal?.addEventListener("abort", abort, { once: true });
    this.#forget = () => signal?.removeEventListener("abort", abort);
    this.#open();
  }

  #open(): void {
    this.#parts = 0;
    this.#unacknowledged = 0;
    const peer = peerForTry(this.#ranked, this.#tries++);
    const { fingerprint, timer } = this.#setting;
    const request = toWireRequest(this.#continued());
    // What has given tokens already is not refused for a queue that is full elsewhere.
    const call = { ...this.#call, isPart: this.#call.isPart || this.#ids.length > 0 };
    this.#exchange = new Exchange(peer, { ask: "stream", request, fingerprint, call }, timer, {
      told: (message) => this.#told(message, peer),
      lost: (cause) => this.#again(cause),
    });
  }

  /** The request as it is now: with the tokens that came, and the time that is left. */
  #continued(): GenerateRequest {
    const { max_time_ms: time, ...request } = this.#request;
    const spent = this.#setting.now() - this.#startedMs;
    const given = request.output_ids?.length ?? 0;
    return {
      ...request,
      ...(this.#ids.length > given && { output_ids: this.#ids }),
      ...(time !== undefined && { max_time_ms: Math.max(0, time - spent) }),
    };
  }

  #told(message: Told, peer: EnginePeer): void {
    if ("part" in message) {
      this.#take(fromWirePart(message.part));
    } else if ("result" in message) {
      this.#setting.learned(peer, message.stats);
      this.outlet.finish(fromWireResult(message.result));
      this.#end(undefined);
    } else if ("error" in message) {
      const { error } = message;
      if (error.changed) this.#setting.changed();
      // Its memory is gone; another has, or it will have, the same model.
      if (error.code === "engine_failed") this.#again(fromWireError(error));
      else this.#end(fromWireError(error));
    }
  }

  #take(part: TokenPart): void {
    const isKnown = this.#parts < this.#ids.length;
    if (isKnown && this.#ids[this.#parts] !== part.token) {
      const where = `token ${this.#parts} of a continued output is another one`;
      this.#end(new PronkError("engine_failed", `remote engine: ${where}`));
      return;
    }
    this.#parts++;
    this.#unacknowledged++;
    if (!isKnown) {
      this.#tries = 0;
      this.#ids.push(part.token);
      this.outlet.push(part);
      this.outlet.deliver();
    }
    this.#acknowledge(this.outlet.iterated ? this.outlet.buffered : 0);
  }

  /** @param buffered parts that nobody has read. */
  #acknowledge(buffered: number): void {
    const read = this.#unacknowledged - buffered;
    if (read < ACK_PARTS) return;
    this.#unacknowledged -= read;
    this.#exchange?.say({ read });
  }

  #again(cause: unknown): void {
    if (this.#isOver) return;
    this.#exchange?.close();
    const pause = pauseBefore(this.#tries, cause);
    if (pause === undefined) {
      this.#end(lostError(this.#ranked, cause));
      return;
    }
    this.#stopPause = this.#setting.timer(pause, () => {
      if (!this.#isOver) this.#open();
    });
  }

  #end(error: PronkError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#forget();
    this.#stopPause();
    this.#exchange?.close();
    if (error !== undefined) this.outlet.fail(error);
    this.outlet.deliver();
  }
}

/** Milliseconds before the next try in a row; undefined where it is not worth one. */
export function pauseBefore(tries: number, cause: unknown): number | undefined {
  if (isFailure(cause) && tries >= MAX_FAILURES) return undefined;
  return PAUSES_MS[tries];
}

/** What is told after the last try: what an engine failed with, or that there is none. */
export function lostError(ranked: readonly EnginePeer[], cause: unknown): PronkError {
  if (isFailure(cause)) return cause;
  const why = cause instanceof PronkError ? `: ${cause.message}` : "";
  const names = ranked.map(({ name }) => name).join(", ");
  return new PronkError("unavailable", `remote engine: no answer of ${names}${why}`, { cause });
}

function isFailure(cause: unknown): cause is PronkError {
  return cause instanceof PronkError && cause.code === "engine_failed";
}
