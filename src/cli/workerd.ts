/**
 * A Worker of workers/ on a local workerd: bundled by esbuild, run by Miniflare, with a pack in its
 * R2. Both are development dependencies of this repository, not of the published package.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, join, resolve } from "node:path";
import { PronkError } from "../errors.ts";
import { readManifest } from "../pack/loader.ts";
import { MANIFEST_NAME } from "../pack/manifest.ts";
import { objectName } from "../pack/shards.ts";
import { directoryFolder } from "../platform/host/directory.ts";
import { nodeHost } from "../platform/node/host.ts";
import { packageRoot } from "./runtimes.ts";

/** As in wrangler.toml. */
const COMPATIBILITY_DATE = "2026-04-01";
const COMPATIBILITY_FLAGS = ["enable_request_signal"];

/** The pack's prefix in the bucket. */
const PREFIX = "model";

export interface Workerd {
  readonly url: string;
  /** workerd's own version: `1.20260426.1`. */
  readonly version: string;
  /** Puts an object of the pack into the bucket, over the one that is there; undefined: none. */
  put(object: string, bytes: Uint8Array | undefined): Promise<void>;
  /** Where the inspector of its isolate listens, with `inspect`. */
  readonly inspectorUrl?: string;
  close(): Promise<void>;
}

export interface WorkerdOptions {
  /** Whether its isolate can be looked into, by Chrome's protocol. */
  readonly inspect?: boolean;
  /** A directory in which R2 keeps its objects; by default they are gone with the process. */
  readonly bucketFolder?: string;
  /** Variables and secrets beside PACK. */
  readonly bindings?: Readonly<Record<string, string>>;
  /** Classes that the Worker exports, by the names of their bindings. */
  readonly durableObjects?: Readonly<Record<string, string>>;
  /** Namespaces of Workers KV, by the names of their bindings. */
  readonly kvNamespaces?: readonly string[];
  /** A directory in which they keep their storage; by default it is gone with the process. */
  readonly objectFolder?: string;
  /** What the kernels' modules are replaced by: one with a fault. */
  readonly patchKernels?: (wasm: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;
}

/**
 * Starts a Worker. Objects of the pack that are in the bucket already are not put again.
 *
 * @param name of the file in workers/: `cloudflare`; or its path from there.
 * @param pack a directory.
 * @throws PronkError "not_found" where the repository or its development dependencies are not.
 */
export async function startWorkerd(
  name: string,
  pack: string,
  {
    bucketFolder,
    bindings,
    durableObjects = {},
    kvNamespaces = [],
    objectFolder,
    inspect,
    patchKernels,
  }: WorkerdOptions = {},
): Promise<Workerd> {
  const entry = join(packageRoot(), "workers", `${name}.ts`);
  if (!existsSync(entry)) {
    throw new PronkError("not_found", `workerd: no ${entry}; it runs from the repository`);
  }
  const { Miniflare } = await development("miniflare", () => import("miniflare"));
  const { version } = createRequire(import.meta.url)("workerd/package.json");
  const miniflare = new Miniflare({
    modules: patched(await bundle(entry), patchKernels),
    compatibilityDate: COMPATIBILITY_DATE,
    compatibilityFlags: COMPATIBILITY_FLAGS,
    // No look-up of where this machine is.
    cf: false,
    bindings: { PACK: PREFIX, ...bindings },
    durableObjects: Object.fromEntries(
      Object.entries(durableObjects).map(([name, className]) => [
        name,
        { className, useSQLite: true },
      ]),
    ),
    ...(objectFolder !== undefined && { durableObjectsPersist: objectFolder }),
    r2Buckets: ["MODELS", "PRONK_RESPONSES"],
    kvNamespaces: [...kvNamespaces],
    ...(bucketFolder !== undefined && { r2Persist: bucketFolder }),
    ...(inspect && { inspectorPort: 0 }),
  });
  try {
    const url = await miniflare.ready;
    const bucket = await miniflare.getR2Bucket("MODELS");
    const put: Workerd["put"] = async (object, bytes) => {
      const key = `${PREFIX}/${object}`;
      // A copy, because Miniflare refuses Node's Buffers.
      if (bytes) await bucket.put(key, new Uint8Array(bytes));
      else await bucket.delete(key);
    };
    for (const object of await packObjects(pack)) {
      if (await bucket.head(`${PREFIX}/${object}`)) continue;
      await put(object, await readFile(join(pack, object)));
    }
    return {
      url: url.href.replace(/\/$/, ""),
      version,
      put,
      // Of the Worker; others in the process are Miniflare's own.
      ...(inspect && {
        inspectorUrl: new URL("/core:user:", await miniflare.getInspectorURL()).href,
      }),
      close: () => miniflare.dispose(),
    };
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
}

/** Every object of the pack in a directory, by name; the manifest last, as it is written. */
export async function packObjects(pack: string): Promise<string[]> {
  const { shards, tokenizer } = await readManifest(directoryFolder(nodeHost, pack));
  return [...(tokenizer ? [...shards, tokenizer] : shards).map(objectName), MANIFEST_NAME];
}

/** What Miniflare takes. */
export type Module =
  | { type: "ESModule"; path: string; contents: string }
  | { type: "CompiledWasm"; path: string; contents: Uint8Array<ArrayBuffer> };

/** One script, and the .wasm files that it imports as modules beside it. */
export async function bundle(entry: string): Promise<[Module, ...Module[]]> {
  const { build } = await development("esbuild", () => import("esbuild"));
  const kernels = new Map<string, string>();
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    // workerd's own modules.
    external: ["cloudflare:*"],
    format: "esm",
    target: "es2022",
    // As wrangler.toml has it: what is loaded counts as memory.
    minify: true,
    conditions: ["workerd", "worker", "browser"],
    write: false,
    logLevel: "silent",
    plugins: [
      {
        name: "wasm-modules",
        setup(setup): void {
          setup.onResolve({ filter: /\.wasm$/ }, ({ path, resolveDir }) => {
            kernels.set(basename(path), resolve(resolveDir, path));
            return { path: `./${basename(path)}`, external: true };
          });
        },
      },
    ],
  });
  const script: Module = { type: "ESModule", path: "worker.mjs", contents: outputFiles[0].text };
  const modules: Module[] = [];
  for (const [path, file] of kernels) {
    modules.push({ type: "CompiledWasm", path, contents: new Uint8Array(await readFile(file)) });
  }
  return [script, ...modules];
}

export function patched(
  [script, ...modules]: [Module, ...Module[]],
  patch: WorkerdOptions["patchKernels"] = (wasm) => wasm,
): [Module, ...Module[]] {
  const kernels = modules.map((module) =>
    module.type === "CompiledWasm" ? { ...module, contents: patch(module.contents) } : module,
  );
  return [script, ...kernels];
}

async function development<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const { message } = cause as Error;
    throw new PronkError("not_found", `workerd: the package ${name}: ${message}`, { cause });
  }
}
