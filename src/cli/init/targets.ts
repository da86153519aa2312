/** What `pronk init` can make, each from the example that shows it. */

/** A name of --to. */
export type Target = "worker" | "deno" | "bun" | "node";

export interface TargetProject {
  /** The folder of examples/ that is copied. */
  readonly example: string;
  /** For people. */
  readonly what: string;
}

export const TARGETS: Readonly<Record<Target, TargetProject>> = {
  worker: { example: "worker", what: "a Cloudflare Worker, its model in R2" },
  deno: { example: "deno", what: "a Deno server, the API beside routes of its own" },
  bun: { example: "bun", what: "a Bun server, the API beside routes of its own" },
  node: { example: "node-server", what: "a Node server" },
};

export function isTarget(name: string): name is Target {
  return Object.hasOwn(TARGETS, name);
}
