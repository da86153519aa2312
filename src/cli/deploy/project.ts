/**
 * What wrangler deploys: for each script its module and its configuration, in a folder of their own, in the order in which
 * they have to be there: who is called before who calls.
 */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import type { KvType } from "../../backends/backend.ts";
import { writeFileAtomically } from "../../platform/host/atomic-file.ts";
import { packageRoot } from "../runtimes.ts";
import { resolveFrom } from "./wrangler.ts";

/** As of wrangler.toml, which the tests run. */
const COMPATIBILITY_DATE = "2026-04-01";

/** Delivers a client's going away to request.signal. */
const COMPATIBILITY_FLAGS = ["enable_request_signal"];

/** The longest that one request may compute: what Workers Paid allows. */
const CPU_MS = 300_000;

/** How a Worker runs its model; kept with the release, so that going back brings it back. */
export interface WorkerSettings {
  readonly topology: "isolate";
  readonly id: string;
  readonly ctx: number;
  readonly slots: number;
  readonly kv: KvType;
}

/** Settings that were kept with a release; undefined where they are of a later version, or missing. */
export function readSettings(value: unknown): WorkerSettings | undefined {
  const found = (value ?? {}) as Partial<Record<keyof WorkerSettings, unknown>>;
  const isCount = (number: unknown): boolean => Number.isSafeInteger(number) && Number(number) > 0;
  const isKnown =
    found.topology === "isolate" &&
    typeof found.id === "string" &&
    typeof found.kv === "string" &&
    isCount(found.ctx) &&
    isCount(found.slots);
  return isKnown ? (value as WorkerSettings) : undefined;
}

export interface ProjectOptions {
  /** The Worker's name. */
  readonly name: string;
  readonly bucket: string;
  readonly prefix: string;
  /** The manifest's checksum: the Worker reads this release and no other. */
  readonly release: string;
  readonly settings: WorkerSettings;
}

/** One script of a deployment. */
export interface Script {
  readonly name: string;
  /** For people: `routes, tokenizer and model`. */
  readonly role: string;
  /** The path of its wrangler configuration. */
  readonly config: string;
  /** Whether this is the one that clients ask. */
  readonly isFront: boolean;
}

/** Writes the scripts of a deployment into a folder. @returns them in the order of deployment. */
export async function writeProject(folder: string, options: ProjectOptions): Promise<Script[]> {
  const { name, bucket, prefix, release, settings } = options;
  const main = "worker.js";
  const config = {
    name,
    main,
    compatibility_date: COMPATIBILITY_DATE,
    compatibility_flags: COMPATIBILITY_FLAGS,
    send_metrics: false,
    minify: true,
    upload_source_maps: true,
    observability: { enabled: true },
    limits: { cpu_ms: CPU_MS },
    vars: { PACK: prefix, RELEASE: release },
    r2_buckets: [{ binding: "MODELS", bucket_name: bucket }],
  };
  await write(join(folder, main), workerModule(folder, settings));
  await write(join(folder, "wrangler.json"), `${JSON.stringify(config, null, 2)}\n`);
  const role = "routes, tokenizer and model in one isolate";
  return [{ name, role, config: join(folder, "wrangler.json"), isFront: true }];
}

function workerModule(folder: string, { id, ctx, slots, kv }: WorkerSettings): string {
  const from = importsFrom(folder);
  const options = { id, ctx, slots, kv };
  return [
    "// Written by pronk deploy, which writes it anew each time.",
    `import { createWorker, packRelease, r2Source } from ${JSON.stringify(from.worker)};`,
    `import plain from ${JSON.stringify(from.kernel("plain"))};`,
    `import relaxed from ${JSON.stringify(from.kernel("relaxed"))};`,
    "",
    "export default createWorker({",
    ...Object.entries(options).map(([key, value]) => `  ${key}: ${JSON.stringify(value)},`),
    "  kernels: { relaxed, plain },",
    "  pack: (env) => packRelease(r2Source(env.MODELS, env.PACK), env.RELEASE),",
    "});",
    "",
  ].join("\n");
}

interface Imports {
  readonly worker: string;
  kernel(name: "plain" | "relaxed"): string;
}

/** The package by its name where the folder's own \`pronk\` is this one, else by paths. */
function importsFrom(folder: string): Imports {
  const root = realpathSync(packageRoot());
  const manifest = resolveFrom(folder, "pronk/package.json");
  const built = join(root, "dist", "src", "platform", "cloudflare", "index.js");
  const isOwn = manifest !== undefined && dirname(realpathSync(manifest)) === root;
  if (isOwn && existsSync(built)) {
    return { worker: "pronk/cloudflare", kernel: (name) => `pronk/kernels/${name}.wasm` };
  }
  const source = join(root, "src", "platform", "cloudflare", "index.ts");
  const path = (to: string): string => {
    const found = relative(folder, to).split(sep).join("/");
    return found.startsWith(".") ? found : `./${found}`;
  };
  return {
    worker: path(existsSync(built) ? built : source),
    kernel: (name) => path(join(root, "wasm", "dist", `${name}.wasm`)),
  };
}

function write(path: string, text: string): Promise<void> {
  return writeFileAtomically(path, new TextEncoder().encode(text));
}
