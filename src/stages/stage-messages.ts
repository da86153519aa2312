/**
 * The messages of the protocol, and what may be in them. A front opens a session, runs batches in it one after the
 * other and closes it; a stage answers each message with one.
 */
import type { KvType, Span } from "../backends/backend.ts";
import { type ErrorCode, PronkError } from "../errors.ts";
import type { StageInfo, StageReply, StageRequest } from "./stage.ts";
import { decodeFrame, encodeFrame, type Frame } from "./stage-frames.ts";
import type { Range } from "./stage-part.ts";

/** A slot's first positions are also another's, from now on. */
export interface SlotCopy {
  readonly from: number;
  readonly to: number;
  readonly positions: number;
}

export type StageMessage =
  /** `slots` 0: as many as there are free. `fingerprint`: of the model that the front has. */
  | { readonly do: "open"; readonly slots: number; readonly fingerprint: string }
  | { readonly do: "run"; readonly copies: readonly SlotCopy[]; readonly request: StageRequest }
  | { readonly do: "ping" };

/** What a stage says of itself when a session is opened; `sizes.slots` are those that the session has. */
export interface OpenedStage extends StageInfo {
  readonly fingerprint: string;
  /** Differs whenever the stage's memory does: caches of another are gone. */
  readonly instance: string;
}

/** Rows, slots, positions: nothing in a message counts further. */
const MOST = 2 ** 24;

export function encodeMessage(message: StageMessage): Uint8Array<ArrayBuffer> {
  if (message.do !== "run") return encodeFrame(message);
  const { copies, request } = message;
  const { rows, ids, x, spans, wanted, states, head } = request;
  return encodeFrame(
    {
      do: "run",
      rows,
      wanted,
      head,
      ...(copies.length > 0 && {
        copies: copies.map(({ from, to, positions }) => [from, to, positions]),
      }),
      ...(ids && { ids: Array.from(ids) }),
      ...(spans && { spans: spans.map(plainSpan) }),
    },
    { x, states },
  );
}

/** @throws PronkError "bad_format", "unsupported" for what is no message. */
export function decodeMessage(bytes: Uint8Array): StageMessage {
  const { head, numbers } = decodeFrame(bytes);
  if (head.do === "ping") return { do: "ping" };
  if (head.do === "open") {
    const { fingerprint } = head;
    if (typeof fingerprint !== "string") throw bad("open without a fingerprint");
    return { do: "open", slots: count(head.slots, "slots"), fingerprint };
  }
  if (head.do !== "run") throw bad(`${JSON.stringify(head.do)?.slice(0, 20)} is not known`);
  const { x, states } = numbers;
  const wantedOf = head.head;
  if (wantedOf !== "none" && wantedOf !== "logits" && wantedOf !== "argmax") throw bad("head");
  const ids = head.ids === undefined ? undefined : integers(head.ids, "ids", -1);
  return {
    do: "run",
    copies: list(head.copies ?? [], "copies").map((item) => {
      const [from, to, positions] = integers(item, "copies");
      return {
        from: count(from, "from"),
        to: count(to, "to"),
        positions: count(positions, "positions"),
      };
    }),
    request: {
      rows: count(head.rows, "rows"),
      ...(ids && { ids: Int32Array.from(ids) }),
      ...(head.spans !== undefined && { spans: list(head.spans, "spans").map(spanOf) }),
      wanted: integers(head.wanted, "wanted"),
      head: wantedOf,
      ...(x && { x }),
      ...(states && { states }),
    },
  };
}

export function encodeReply({ x, states, logits, best }: StageReply): Uint8Array<ArrayBuffer> {
  const head = { did: "run", ...(best && { best: Array.from(best.ids) }) };
  return encodeFrame(head, { x, states, logits, values: best?.values });
}

export function encodeOpened(opened: OpenedStage): Uint8Array<ArrayBuffer> {
  return encodeFrame({ did: "open", opened });
}

export function encodePong(): Uint8Array<ArrayBuffer> {
  return encodeFrame({ did: "ping" });
}

/** Messages of errors that are not meant for others stay here. */
export function encodeFailure(error: unknown): Uint8Array<ArrayBuffer> {
  const { code, message, retryAfterMs } =
    error instanceof PronkError ? error : new PronkError("engine_failed", "stage: it failed");
  return encodeFrame({ did: "fail", code, message, retryAfterMs });
}

/** What a stage answered. @throws PronkError what it failed with; "bad_format" for what is no answer. */
function answer(bytes: Uint8Array, did: string): Frame {
  const frame = decodeFrame(bytes);
  const { head } = frame;
  if (head.did === "fail") {
    const { code, message, retryAfterMs } = head;
    const isKnown = typeof code === "string" && CODES.includes(code as ErrorCode);
    throw new PronkError(
      isKnown ? (code as ErrorCode) : "engine_failed",
      typeof message === "string" ? message : "stage: it failed",
      typeof retryAfterMs === "number" ? { retryAfterMs } : {},
    );
  }
  if (head.did !== did) throw bad(`an answer to ${JSON.stringify(head.did)?.slice(0, 20)}`);
  return frame;
}

export function decodeReply(bytes: Uint8Array): StageReply {
  const { head, numbers } = answer(bytes, "run");
  const { x, states, logits, values } = numbers;
  const best = head.best === undefined ? undefined : integers(head.best, "best");
  return {
    ...(x && { x }),
    ...(states && { states }),
    ...(logits && { logits }),
    ...(best && values && { best: { ids: Int32Array.from(best), values } }),
  };
}

export function decodeOpened(bytes: Uint8Array): OpenedStage {
  const { opened } = answer(bytes, "open").head;
  const of = record(opened, "opened");
  const part = record(of.part, "part");
  const sizes = record(of.sizes, "sizes");
  const memory = record(of.memory, "memory");
  const { fingerprint, instance, kernel } = of;
  const { kv } = sizes;
  const areNames = [fingerprint, instance, kernel].every((name) => typeof name === "string");
  if (!areNames || !KV_TYPES.includes(kv as KvType)) throw bad("opened");
  return {
    fingerprint: fingerprint as string,
    instance: instance as string,
    kernel: kernel as string,
    width: count(of.width, "width"),
    vocab: count(of.vocab, "vocab"),
    part: {
      embedding: rangeOf(part.embedding),
      layers: rangeOf(part.layers),
      head: rangeOf(part.head),
    },
    sizes: {
      ctx: count(sizes.ctx, "ctx"),
      slots: count(sizes.slots, "slots"),
      maxRows: count(sizes.maxRows, "maxRows"),
      maxLogits: count(sizes.maxLogits, "maxLogits"),
      kv: kv as KvType,
    },
    memory: {
      weights: count(memory.weights, "weights", 2 ** 40),
      kv: count(memory.kv, "kv", 2 ** 40),
      activations: count(memory.activations, "activations", 2 ** 40),
      scratch: count(memory.scratch, "scratch", 2 ** 40),
      total: count(memory.total, "total", 2 ** 40),
    },
  };
}

const KV_TYPES: readonly KvType[] = ["int16", "int8", "bf16", "f32"];

const CODES: readonly ErrorCode[] = [
  "bad_format",
  "corrupt",
  "unsupported",
  "not_found",
  "source_failed",
  "out_of_memory",
  "bad_request",
  "context_overflow",
  "overloaded",
  "loading",
  "engine_failed",
  "aborted",
];

function plainSpan({ slot, start, count, length, positions }: Span): unknown {
  return { slot, start, count, length, ...(positions && { positions: Array.from(positions) }) };
}

function spanOf(value: unknown): Span {
  const { slot, start, count: rows, length, positions } = record(value, "span");
  return {
    slot: count(slot, "slot"),
    start: count(start, "start"),
    count: count(rows, "count"),
    ...(length !== undefined && { length: count(length, "length") }),
    ...(positions !== undefined && { positions: integers(positions, "positions") }),
  };
}

function rangeOf(value: unknown): Range {
  const { from, to } = record(value, "range");
  return { from: count(from, "from"), to: count(to, "to") };
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  throw bad(what);
}

function list(value: unknown, what: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw bad(what);
}

function integers(value: unknown, what: string, least = 0): number[] {
  const found = list(value, what);
  if (
    found.every(
      (one) => Number.isInteger(one) && (one as number) >= least && (one as number) < MOST,
    )
  ) {
    return found as number[];
  }
  throw bad(what);
}

function count(value: unknown, what: string, most = MOST): number {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most) {
    return value as number;
  }
  throw bad(what);
}

function bad(what: string): PronkError {
  return new PronkError("bad_format", `stage message: ${what}`);
}
