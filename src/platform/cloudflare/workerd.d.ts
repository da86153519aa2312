/** The part of workerd's API that is used here; @cloudflare/workers-types has the rest. */
interface Scheduler {
  wait(milliseconds: number): Promise<void>;
}
