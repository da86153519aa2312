/** The part of workerd's API that is used here; @cloudflare/workers-types has the rest. */
interface Scheduler {
  wait(milliseconds: number): Promise<void>;
}

declare module "cloudflare:workers" {
  export abstract class WorkerEntrypoint<Env> {
    protected readonly ctx: { waitUntil(promise: Promise<unknown>): void };
    protected readonly env: Env;
    // biome-ignore lint/suspicious/noExplicitAny: as Cloudflare gives it
    constructor(ctx: any, env: Env);
    fetch?(request: Request): Response | Promise<Response>;
  }

  export abstract class DurableObject<Env> {
    // biome-ignore lint/suspicious/noExplicitAny: as Cloudflare gives it
    protected readonly ctx: any;
    protected readonly env: Env;
    // biome-ignore lint/suspicious/noExplicitAny: as Cloudflare gives it
    constructor(ctx: any, env: Env);
    fetch?(request: Request): Response | Promise<Response>;
  }

  /** What is passed by reference: its methods are called where it was made. */
  export abstract class RpcTarget {}
}
