/**
 * What a caller may take: requests and tokens a minute and a day.
 *
 * Windows are minutes and days of UTC, the same for all servers that share a store. A request counts when it
 * is let in, its tokens when they are known, at its end: what a window has left can so be passed by the
 * requests that run, and no request begins while nothing is left.
 */
import * as z from "zod/mini";
import { RequestError } from "./errors.ts";

export interface Quota {
  readonly requestsPerMinute?: number;
  readonly requestsPerDay?: number;
  /** Of prompts and outputs. */
  readonly tokensPerMinute?: number;
  readonly tokensPerDay?: number;
}

const limit = z.optional(z.int().check(z.gte(0)));

/** Shapes for `z.object`, to be spread. */
export const quotaFields: { readonly [Field in keyof Quota]-?: z.ZodMiniType<Quota[Field]> } = {
  requestsPerMinute: limit,
  requestsPerDay: limit,
  tokensPerMinute: limit,
  tokensPerDay: limit,
};

/** Where counters are: in this process, or where all that serve one model see them. */
export interface QuotaStore {
  /** Counts a request, unless a window has nothing left. At once: two requests never take one place. */
  admit(caller: string, quota: Quota): Promise<Admission> | Admission;
  spend(caller: string, tokens: number): Promise<void> | void;
}

/** How one kind of limit stands, in the window that has least left. */
export interface Standing {
  readonly limit: number;
  readonly remaining: number;
  /** Until the window ends. */
  readonly resetMs: number;
}

export interface Admission {
  readonly admitted: boolean;
  readonly requests?: Standing;
  readonly tokens?: Standing;
}

/** What was taken in one window. */
interface Counts {
  /** Windows since 1970. */
  readonly window: number;
  readonly requests: number;
  readonly tokens: number;
}

/** What a store keeps of a caller: JSON. */
export interface QuotaState {
  readonly minute: Counts;
  readonly day: Counts;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const NOTHING: Counts = { window: 0, requests: 0, tokens: 0 };
export const UNUSED: QuotaState = { minute: NOTHING, day: NOTHING };

/** @param nowMs since 1970. */
export function admitRequest(
  state: QuotaState,
  quota: Quota,
  nowMs: number,
): { state: QuotaState; admission: Admission } {
  const current = {
    minute: roll(state.minute, MINUTE_MS, nowMs),
    day: roll(state.day, DAY_MS, nowMs),
  };
  const { minute, day } = current;
  const { requestsPerMinute, requestsPerDay, tokensPerMinute, tokensPerDay } = quota;
  const admitted =
    isBelow(minute.requests, requestsPerMinute) &&
    isBelow(day.requests, requestsPerDay) &&
    isBelow(minute.tokens, tokensPerMinute) &&
    isBelow(day.tokens, tokensPerDay);
  const next = admitted ? { minute: add(minute, 1, 0), day: add(day, 1, 0) } : current;
  const standing = (kind: "requests" | "tokens", perMinute?: number, perDay?: number) =>
    tightest([
      stand(perMinute, next.minute[kind], MINUTE_MS, nowMs),
      stand(perDay, next.day[kind], DAY_MS, nowMs),
    ]);
  const requests = standing("requests", requestsPerMinute, requestsPerDay);
  const tokens = standing("tokens", tokensPerMinute, tokensPerDay);
  return {
    state: next,
    admission: { admitted, ...(requests && { requests }), ...(tokens && { tokens }) },
  };
}

export function spendTokens(state: QuotaState, tokens: number, nowMs: number): QuotaState {
  return {
    minute: add(roll(state.minute, MINUTE_MS, nowMs), 0, tokens),
    day: add(roll(state.day, DAY_MS, nowMs), 0, tokens),
  };
}

/** x-ratelimit-{limit,remaining,reset}-{requests,tokens}, with durations as OpenAI writes them. */
export function quotaHeaders({ requests, tokens }: Admission): Record<string, string> {
  const of = (kind: string, standing: Standing | undefined): [string, string][] =>
    standing === undefined
      ? []
      : [
          [`x-ratelimit-limit-${kind}`, String(standing.limit)],
          [`x-ratelimit-remaining-${kind}`, String(standing.remaining)],
          [`x-ratelimit-reset-${kind}`, duration(standing.resetMs)],
        ];
  return Object.fromEntries([...of("requests", requests), ...of("tokens", tokens)]);
}

/**
 * Longer than any client waits by itself: `openai` takes no Retry-After above it, and would come back at
 * once.
 */
const MAX_RETRY_MS = MINUTE_MS;

/** The refusal of what was not admitted: with when to come back, and whether that is soon enough to wait. */
export function quotaRefusal({ requests, tokens }: Admission): RequestError {
  const spent = [requests, tokens].filter(
    (s) => s !== undefined && s.remaining === 0,
  ) as Standing[];
  const kinds = [requests?.remaining === 0 && "requests", tokens?.remaining === 0 && "tokens"];
  const retryAfterMs = Math.max(1, ...spent.map(({ resetMs }) => resetMs));
  return new RequestError(
    retryAfterMs > MAX_RETRY_MS ? "quota_exceeded" : "rate_limited",
    `this key's ${kinds.filter(Boolean).join(" and ")} are used up; again in ${duration(retryAfterMs)}`,
    { retryAfterMs },
  );
}

function roll(counts: Counts, lengthMs: number, nowMs: number): Counts {
  const window = Math.floor(nowMs / lengthMs);
  return counts.window === window ? counts : { ...NOTHING, window };
}

function add(counts: Counts, requests: number, tokens: number): Counts {
  return { ...counts, requests: counts.requests + requests, tokens: counts.tokens + tokens };
}

function isBelow(count: number, most: number | undefined): boolean {
  return most === undefined || count < most;
}

function stand(
  limit: number | undefined,
  used: number,
  lengthMs: number,
  nowMs: number,
): Standing | undefined {
  if (limit === undefined) return undefined;
  return { limit, remaining: Math.max(0, limit - used), resetMs: lengthMs - (nowMs % lengthMs) };
}

/** Of equal ones the longer: what is used up stays so until its end. */
function tightest(standings: readonly (Standing | undefined)[]): Standing | undefined {
  return standings.reduce((least, one) =>
    one !== undefined && (least === undefined || one.remaining <= least.remaining) ? one : least,
  );
}

/** `850ms`, `12s`, `6m0s`, `23h59m8s`. */
function duration(ms: number): string {
  if (ms < 1000) return `${Math.ceil(ms)}ms`;
  const seconds = Math.ceil(ms / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (h > 0) return `${h}h${m}m${s}s`;
  return m > 0 ? `${m}m${s}s` : `${s}s`;
}
