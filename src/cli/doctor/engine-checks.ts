/** Runtime, kernels, vectors, threads, GPU: what computes here, and what would compute faster. */

import { selectKernel, type VectorWidth } from "../../backends/wasm/kernel-variants.ts";
import { NUMBERS_VERSION } from "../../backends/wasm/numbers-version.ts";
import { platformOf } from "../../engine/gpu-platform.ts";
import { openHostGpu } from "../../engine/open-host-gpu.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { countThreads } from "../../engine/threads.ts";
import { PronkError } from "../../errors.ts";
import { createRuntime } from "../../platform/host/create-engine.ts";
import type { Host } from "../../platform/host/host.ts";
import type { Check } from "./check.ts";
import { within } from "./check.ts";

/** Of package.json's engines. */
const OLDEST_NODE = [20, 11] as const;

/** Of V8 11.3, which Node 20 has: it knows relaxed SIMD by this flag alone. */
const RELAXED_FLAG = "--experimental-wasm-relaxed-simd";

/** A driver that does not answer is not to be waited for. */
const GPU_MS = 8000;

export function runtimeCheck({ name, version }: Host): Check {
  const { v8 = "" } = process.versions;
  const engine = name === "bun" ? "JavaScriptCore" : `V8 ${v8.split(".").slice(0, 2).join(".")}`;
  const found = `${name} ${version}, ${engine}, ${process.platform} ${process.arch}`;
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isOld = name === "node" && (major - OLDEST_NODE[0] || minor - OLDEST_NODE[1]) < 0;
  const facts = { runtime: name, version, engine, platform: process.platform, arch: process.arch };
  return {
    name: "runtime",
    status: isOld ? "fail" : "ok",
    found,
    facts,
    ...(isOld && { change: `Node ${OLDEST_NODE.join(".")} or newer; 24 and newer are faster` }),
  };
}

/** Compiles the kernels, times them, and says which is taken; without any of them nothing runs. */
export async function kernelChecks(host: Host): Promise<Check[]> {
  let runtime: Runtime;
  try {
    runtime = await createRuntime(host, "auto");
  } catch (error) {
    if (!(error instanceof PronkError)) throw error;
    const change =
      error.code === "not_found"
        ? "the package is incomplete: install it again"
        : "WebAssembly with SIMD is needed: Node 20.11, Deno 2 or Bun 1.1 and newer on x64 and ARM64";
    return [{ name: "kernels", status: "fail", found: error.message, change }];
  }
  const { kernels, now } = runtime;
  const { variant, reason } = selectKernel(kernels, { now });
  const hasRelaxed = kernels.relaxed !== undefined;
  const vectors: VectorWidth = kernels.vectors ?? { bits: 128 };
  const [why] = reason.split("; 128-bit vectors:");
  return [
    {
      name: "kernels",
      status: hasRelaxed ? "ok" : "warn",
      found: hasRelaxed
        ? `plain and relaxed SIMD run; ${why}`
        : `plain SIMD runs, relaxed SIMD is not in this engine; ${variant} is taken`,
      facts: {
        kernel: variant,
        kernel_reason: reason,
        numbers_version: NUMBERS_VERSION,
        relaxed_simd: hasRelaxed,
      },
      ...(!hasRelaxed && { change: relaxedChange(host) }),
    },
    vectorCheck(host, vectors, hasRelaxed),
  ];
}

function relaxedChange({ name }: Host): string {
  if (name !== "node") return `a newer ${name} may have relaxed SIMD, which is up to twice as fast`;
  return `Node 24 or newer has relaxed SIMD, up to twice as fast; this one by its flag: node ${RELAXED_FLAG} ${shortPath(process.argv[1])}`;
}

/** As one types it. */
function shortPath(path = "pronk"): string {
  const here = `${process.cwd()}/`;
  return path.startsWith(here) ? path.slice(here.length) : path;
}

/** Never a warning: only one Node has it, and only prompts are read faster by it. */
function vectorCheck({ name }: Host, { bits, reason }: VectorWidth, hasRelaxed: boolean): Check {
  const facts = { simd_width: bits, ...(reason && { simd_width_reason: reason }) };
  if (bits === 256) {
    return {
      name: "vectors",
      status: "ok",
      found: "256 bits: prompts are read 1.7 times as fast",
      facts,
    };
  }
  const found = `128 bits${reason === undefined ? "" : `; not 256: ${reason}`}`;
  const mayChange = name === "node" && hasRelaxed && /older/.test(reason ?? "");
  const change = mayChange
    ? { change: "Node 26 on x64 with AVX2 reads prompts 1.7 times as fast" }
    : {};
  return { name: "vectors", status: "ok", found, facts, ...change };
}

export function threadCheck({ threads }: Host): Check {
  const { count, reason } = countThreads("auto", threads);
  const { cores } = threads;
  const facts = { cores, threads_auto: count };
  if (count > 1) {
    const found = `${cores} cores; --threads auto takes ${count}, the default is 1`;
    return {
      name: "threads",
      status: "ok",
      found,
      facts,
      change: "--threads auto: same bytes, sooner",
    };
  }
  return {
    name: "threads",
    status: "ok",
    found: reason ?? "1 core: one thread is all there is",
    facts,
  };
}

/** A GPU is welcome, not needed. */
export async function gpuCheck({ gpu }: Host): Promise<Check> {
  const none = (found: string): Check => {
    const [, install] = /without a package: (.+)$/.exec(found) ?? [];
    const [, flag] = /: (deno run --\S+)/.exec(found) ?? [];
    const change = install ?? flag;
    return {
      name: "gpu",
      status: "ok",
      found: `none: ${found.replace(/^webgpu: /, "").replace(/: (?:npm|bun) .*$/, "")}`,
      facts: { gpu: null, gpu_reason: found },
      ...(change !== undefined && { change: `${change}, where this machine has a GPU` }),
    };
  };
  try {
    const opened = await within(GPU_MS, openHostGpu(platformOf({ gpu }), { software: false }));
    if (opened === undefined) return none(`no adapter within ${GPU_MS / 1000} s`);
    const { name, hasF16, hasInt8, maxBufferBytes, device } = opened;
    device.destroy();
    const can = [...(hasF16 ? ["f16"] : []), ...(hasInt8 ? ["int8"] : [])].join(" and ");
    return {
      name: "gpu",
      status: "ok",
      found: `${name}${can === "" ? "" : `, computes in ${can}`}, buffers up to ${(maxBufferBytes / 1e9).toFixed(1)} GB`,
      facts: { gpu: name, gpu_f16: hasF16, gpu_int8: hasInt8, gpu_buffer_bytes: maxBufferBytes },
      change: "nothing: it is taken where it is faster, --backend webgpu takes it always",
    };
  } catch (error) {
    if (!(error instanceof PronkError)) throw error;
    return none(error.message);
  }
}
