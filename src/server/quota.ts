/**
 * What a caller may take: requests and tokens a minute and a day.
 *
 * Each limit is a bucket that holds it and fills up evenly, as OpenAI's are: what was taken comes back at the rate
 * of the limit, not at the end of a window. A request counts when it is let in, its tokens when they are known, at its
 * end: so a bucket can be overdrawn by the requests that run, and no request begins until it has something again.
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
  spend(caller: string, tokens: number, quota: Quota): Promise<void> | void;
}

/** How one kind of limit stands, of a minute or a day, whichever has less left. */
export interface Standing {
  readonly limit: number;
  readonly remaining: number;
  /** Until all of it is there again. */
  readonly resetMs: number;
  /** Until one is there; 0 where some are. */
  readonly retryMs: number;
}

export interface Admission {
  readonly admitted: boolean;
  readonly requests?: Standing;
  readonly tokens?: Standing;
}

/** What has not come back yet, and when that was so: ms since 1970. */
interface Bucket {
  readonly used: number;
  readonly atMs: number;
}

/** What a store keeps of a caller: JSON. Buckets that were never used are missing. */
export type QuotaState = { readonly [Field in keyof Quota]?: Bucket };

export const UNUSED: QuotaState = {};

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

interface Bound {
  readonly field: keyof Quota;
  readonly kind: "requests" | "tokens";
  readonly lengthMs: number;
}

const BOUNDS: readonly Bound[] = [
  { field: "requestsPerMinute", kind: "requests", lengthMs: MINUTE_MS },
  { field: "requestsPerDay", kind: "requests", lengthMs: DAY_MS },
  { field: "tokensPerMinute", kind: "tokens", lengthMs: MINUTE_MS },
  { field: "tokensPerDay", kind: "tokens", lengthMs: DAY_MS },
];

/** Far above what adding and refilling round off, far below one request. */
const ROUNDING = 1e-6;

/** @param nowMs since 1970. */
export function admitRequest(
  state: QuotaState,
  quota: Quota,
  nowMs: number,
): { state: QuotaState; admission: Admission } {
  const current = refilled(state, quota, nowMs);
  const standsBefore = standings(current, quota);
  const admitted = standsBefore.every(({ standing }) => standing.remaining > 0);
  const next = admitted ? taken(current, quota, "requests", 1) : current;
  const stands = standings(next, quota);
  const of = (kind: Bound["kind"]): Standing | undefined =>
    tightest(stands.filter((one) => one.kind === kind).map(({ standing }) => standing));
  const [requests, tokens] = [of("requests"), of("tokens")];
  return {
    state: next,
    admission: { admitted, ...(requests && { requests }), ...(tokens && { tokens }) },
  };
}

export function spendTokens(
  state: QuotaState,
  quota: Quota,
  tokens: number,
  nowMs: number,
): QuotaState {
  return taken(refilled(state, quota, nowMs), quota, "tokens", tokens);
}

/** Of the limits that there are: what came back until now. */
function refilled(state: QuotaState, quota: Quota, nowMs: number): QuotaState {
  return eachBucket(quota, ({ field, lengthMs }, limit) => {
    const { used, atMs } = state[field] ?? { used: 0, atMs: nowMs };
    const back = (limit * Math.max(0, nowMs - atMs)) / lengthMs;
    return { used: Math.max(0, used - back), atMs: nowMs };
  });
}

function taken(state: QuotaState, quota: Quota, kind: Bound["kind"], count: number): QuotaState {
  return eachBucket(quota, (bound) => {
    const { used, atMs } = state[bound.field] ?? { used: 0, atMs: 0 };
    return { used: used + (bound.kind === kind ? count : 0), atMs };
  });
}

function eachBucket(quota: Quota, make: (bound: Bound, limit: number) => Bucket): QuotaState {
  const entries = BOUNDS.flatMap((bound) => {
    const limit = quota[bound.field];
    return limit === undefined ? [] : [[bound.field, make(bound, limit)] as const];
  });
  return Object.fromEntries(entries);
}

function standings(
  state: QuotaState,
  quota: Quota,
): { readonly kind: Bound["kind"]; readonly standing: Standing }[] {
  return BOUNDS.flatMap(({ field, kind, lengthMs }) => {
    const limit = quota[field];
    if (limit === undefined) return [];
    const used = state[field]?.used ?? 0;
    const remaining = Math.max(0, Math.floor(limit - used + ROUNDING));
    // Of a limit of 0 nothing ever comes; to look again later is all that can be said.
    const untilLess = (most: number): number =>
      limit === 0 ? lengthMs : (Math.max(0, used - most) * lengthMs) / limit;
    const retryMs = remaining > 0 ? 0 : Math.max(1, untilLess(limit - 1));
    return [{ kind, standing: { limit, remaining, resetMs: untilLess(0), retryMs } }];
  });
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
  const retryAfterMs = Math.ceil(Math.max(1, ...spent.map(({ retryMs }) => retryMs)));
  return new RequestError(
    retryAfterMs > MAX_RETRY_MS ? "quota_exceeded" : "rate_limited",
    `this key's ${kinds.filter(Boolean).join(" and ")} are used up; again in ${duration(retryAfterMs)}`,
    { retryAfterMs },
  );
}

/** Of equal ones that which takes longer to come back. */
function tightest(standings: readonly Standing[]): Standing | undefined {
  return standings.reduce<Standing | undefined>((least, one) => {
    if (least === undefined || one.remaining < least.remaining) return one;
    return one.remaining === least.remaining && one.resetMs >= least.resetMs ? one : least;
  }, undefined);
}

/** `850ms`, `12s`, `6m0s`, `23h59m8s`. */
function duration(ms: number): string {
  if (ms < 1000) return `${Math.ceil(ms)}ms`;
  const seconds = Math.ceil(ms / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (h > 0) return `${h}h${m}m${s}s`;
  return m > 0 ? `${m}m${s}s` : `${s}s`;
}
