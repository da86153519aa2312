/** The books of an app: which requests are let in, what each one took, where that is told. */
import type { Engine } from "../engine/engine.ts";
import { WorkBudget } from "../engine/work-budget.ts";
import { PronkError } from "../errors.ts";
import { ANYBODY } from "./auth.ts";
import type { AppContext, Clock, Limits, LogEntry } from "./context.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { createMemoryQuotaStore } from "./memory-quota-store.ts";
import { meteredEngine } from "./metered-engine.ts";
import type { ServerMetrics } from "./metrics.ts";
import { type Quota, type QuotaStore, quotaHeaders, quotaRefusal } from "./quota.ts";
import type { RequestRecord } from "./request-record.ts";

export interface AccountsOptions {
  readonly quota?: Quota | undefined;
  readonly quotaStore?: QuotaStore | undefined;
  readonly log?: ((entry: LogEntry) => void) | undefined;
  readonly limits?: Partial<Limits>;
  readonly sharePrefixCache?: boolean | undefined;
}

export class Accounts {
  readonly #options: AccountsOptions;
  readonly #metrics: ServerMetrics;
  readonly #clock: Clock;
  readonly #store: QuotaStore;

  constructor(options: AccountsOptions, metrics: ServerMetrics, clock: Clock) {
    this.#options = options;
    this.#metrics = metrics;
    this.#clock = clock;
    this.#store = options.quotaStore ?? createMemoryQuotaStore(() => clock.wall());
  }

  begin(): void {
    this.#metrics.requestBegan();
  }

  /** @throws RequestError "rate_limited" or "quota_exceeded"; PronkError "source_failed" from the store. */
  async admit(c: AppContext): Promise<void> {
    const { caller } = c.get("record");
    const quota = this.#quotaOf(caller.quota);
    if (Object.keys(quota).length > 0) {
      const admission = await this.#ask(() => this.#store.admit(caller.name, quota));
      for (const [name, value] of Object.entries(quotaHeaders(admission))) c.header(name, value);
      if (!admission.admitted) throw quotaRefusal(admission);
    }
    if (caller !== ANYBODY) this.#metrics.requestOf(caller.name);
  }

  engineFor(c: AppContext, engine: Engine): Engine {
    const record = c.get("record");
    const { limits = {}, sharePrefixCache = false } = this.#options;
    const { workMs, waitMs = DEFAULT_LIMITS.waitMs } = limits;
    if (workMs !== undefined) record.work ??= new WorkBudget(workMs);
    return meteredEngine(engine, {
      record,
      work: record.work,
      waitMs,
      cacheOwner: sharePrefixCache ? undefined : record.caller.owner,
      now: () => this.#clock.now(),
      spend: (tokens) => this.#spend(c, record, tokens),
      onGeneration: (end) => {
        const isAborted = end.error instanceof PronkError && end.error.code === "aborted";
        this.#metrics.generationEnded({ ...end, isAborted });
      },
    });
  }

  /** The handler is done: a stream may go on. */
  answered(c: AppContext): void {
    const record = c.get("record");
    const { method, path } = c.req;
    const { status } = c.res;
    record.error ??= c.error;
    record.whenEnded(() => {
      this.#metrics.requestEnded(record, method, status);
      this.#options.log?.(this.#entry(record, { method, path, status }));
    });
  }

  #quotaOf(own: Quota): Quota {
    const merged = { ...this.#options.quota, ...own };
    return Object.fromEntries(Object.entries(merged).filter(([, limit]) => limit !== undefined));
  }

  #spend(c: AppContext, record: RequestRecord, tokens: number): void {
    const { caller } = record;
    if (caller !== ANYBODY) this.#metrics.tokensOf(caller.name, tokens);
    const quota = this.#quotaOf(caller.quota);
    if (quota.tokensPerMinute === undefined && quota.tokensPerDay === undefined) return;
    const spent = this.#ask(() => this.#store.spend(caller.name, tokens, quota)).catch(
      (error: unknown) => {
        record.error ??= error;
      },
    );
    keepAlive(c, spent);
  }

  async #ask<Result>(ask: () => Promise<Result> | Result): Promise<Result> {
    try {
      return await ask();
    } catch (cause) {
      if (cause instanceof PronkError) throw cause;
      throw new PronkError("source_failed", "quotas: their store does not answer", { cause });
    }
  }

  #entry(
    record: RequestRecord,
    { method, path, status }: { method: string; path: string; status: number },
  ): LogEntry {
    const { id, route, caller, promptTokens, cachedTokens, generatedTokens, firstTokenMs } = record;
    return {
      time: record.arrivedMs,
      request_id: id,
      method,
      path,
      ...(route !== undefined && { route }),
      status,
      ms: this.#clock.now() - record.startedMs,
      ...(caller !== ANYBODY && { key: caller.name }),
      ...(promptTokens + generatedTokens > 0 && {
        prompt_tokens: promptTokens,
        cached_tokens: cachedTokens,
        generated_tokens: generatedTokens,
      }),
      ...(firstTokenMs !== undefined && { first_token_ms: firstTokenMs }),
      ...(record.error !== undefined && { error: record.error }),
    };
  }
}

/** Workers end what a request began when it is answered, unless they are told to wait. */
function keepAlive(c: AppContext, work: Promise<unknown>): void {
  try {
    c.executionCtx.waitUntil(work);
  } catch {
    // Elsewhere there is no such context, and no need of it.
  }
}
