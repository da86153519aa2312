/** wrangler's part: bundles, tried before anything is sent; deployments, in order; where they answer. */
import { readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { PronkError } from "../../errors.ts";
import type { WrittenScript } from "./project.ts";
import type { Wrangler } from "./wrangler.ts";

/** Of a script that Workers Paid takes, compressed. Source: developers.cloudflare.com/workers/platform/limits. */
const MAX_BUNDLE_BYTES = 10_000_000;

export interface Bundle {
  readonly script: string;
  /** Of JavaScript. */
  readonly bytes: number;
  readonly gzipBytes: number;
  /** Of WebAssembly, compressed. */
  readonly kernelBytes: number;
}

/**
 * Bundles each script as a deployment would, without sending it.
 *
 * @throws PronkError "engine_failed" with wrangler's complaint.
 */
export async function bundleScripts(
  wrangler: Wrangler,
  scripts: readonly WrittenScript[],
  signal: AbortSignal,
): Promise<Bundle[]> {
  const bundles: Bundle[] = [];
  for (const { name, config } of scripts) {
    const out = join(dirname(config), "bundle", name);
    await rm(out, { recursive: true, force: true });
    await wrangler.run(["deploy", "--dry-run", "--config", config, "--outdir", out], {
      cwd: dirname(config),
      signal,
    });
    bundles.push(await measureBundle(name, out));
  }
  return bundles;
}

async function measureBundle(script: string, folder: string): Promise<Bundle> {
  let [bytes, gzipBytes, kernelBytes] = [0, 0, 0];
  for (const file of await readdir(folder)) {
    if (!/\.(?:js|wasm)$/.test(file)) continue;
    const content = await readFile(join(folder, file));
    const compressed = gzipSync(content).length;
    if (file.endsWith(".wasm")) kernelBytes += compressed;
    else {
      bytes += content.length;
      gzipBytes += compressed;
    }
  }
  if (gzipBytes + kernelBytes > MAX_BUNDLE_BYTES) {
    const found = `${gzipBytes + kernelBytes} bytes compressed, Workers take ${MAX_BUNDLE_BYTES}`;
    throw new PronkError("bad_request", `${script}: the bundle has ${found}`);
  }
  return { script, bytes, gzipBytes, kernelBytes };
}

/** Neighbours of one size, as stages are, share a line. */
export function describeBundles(bundles: readonly Bundle[]): string {
  const groups: Bundle[][] = [];
  for (const bundle of bundles) {
    const [last] = groups.at(-1) ?? [];
    if (last && sizeOf(last) === sizeOf(bundle)) groups.at(-1)?.push(bundle);
    else groups.push([bundle]);
  }
  return groups
    .map((group) => {
      const [{ script }] = group;
      const last = group[group.length - 1].script;
      const names = group.length === 1 ? script : `${script} to ${last}, each`;
      return `bundle   ${names}: ${sizeOf(group[0])}\n`;
    })
    .join("");
}

function sizeOf({ gzipBytes, kernelBytes }: Bundle): string {
  const script = `${Math.round(gzipBytes / 1000)} KB gzipped`;
  return kernelBytes === 0
    ? script
    : `${script}, and ${Math.round(kernelBytes / 1000)} KB of kernels`;
}

/**
 * Deploys the scripts, one after the other.
 *
 * @returns where the front answers, as wrangler says it; undefined where it says nothing.
 */
export async function deployScripts(
  wrangler: Wrangler,
  scripts: readonly WrittenScript[],
  onDeployed: (script: WrittenScript) => void,
  signal: AbortSignal,
): Promise<string | undefined> {
  let url: string | undefined;
  for (const script of scripts) {
    const said = await wrangler.run(["deploy", "--config", script.config], {
      cwd: dirname(script.config),
      signal,
    });
    if (script.isFront) url = /^\s*(https?:\/\/[^\s/]+)\/?\s*$/m.exec(said)?.[1];
    onDeployed(script);
  }
  return url;
}
