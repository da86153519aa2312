/** Quotas of one process, or of one isolate. */
import {
  type Admission,
  admitRequest,
  type Quota,
  type QuotaState,
  type QuotaStore,
  spendTokens,
  UNUSED,
} from "./quota.ts";

/** Holds one state a caller; callers are those whose keys the server knows. @param wall ms since 1970. */
export function createMemoryQuotaStore(wall: () => number = () => Date.now()): QuotaStore {
  const states = new Map<string, QuotaState>();
  const stateOf = (caller: string): QuotaState => states.get(caller) ?? UNUSED;
  return {
    admit(caller: string, quota: Quota): Admission {
      const { state, admission } = admitRequest(stateOf(caller), quota, wall());
      states.set(caller, state);
      return admission;
    },
    spend(caller: string, tokens: number, quota: Quota): void {
      states.set(caller, spendTokens(stateOf(caller), quota, tokens, wall()));
    },
  };
}
