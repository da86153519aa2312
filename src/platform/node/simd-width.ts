/**
 * Vectors of 256 bits on Node: V8 can join pairs of WebAssembly's 128-bit vectors to AVX2's, by a flag that
 * is experimental and holds for the whole process. Lanes and their order stay, hence the bits.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { createRequire } from "node:module";
import type { VectorWidth } from "../../backends/wasm/kernel-variants.ts";
import { PronkError } from "../../errors.ts";
import type { SimdWidth } from "../host/simd-width.ts";

/** Switched off again by nobody: V8 compiles hot functions later, by what the flag says then. */
const JOIN_VECTORS = "--experimental-wasm-revectorize";

/**
 * The V8 of Node 26, whose joined kernels pass every test. Those of Node 24 and 25 (13.6, 14.1) join loads that
 * widen 16-bit integers to wrong values, those of 22 and 23 are slower than at 128 bits.
 */
const OLDEST_RIGHT = [14, 6] as const;
const NEWEST_TESTED = [14, 6] as const;

/** Enough of /proc/cpuinfo for the first processor; the whole takes milliseconds where there are many. */
const CPU_INFO_BYTES = 8192;

/** What the choice depends on. */
export interface VectorEngine {
  /** process.arch */
  readonly arch: string;
  /** process.versions.v8: `13.6.233.17-node.53` */
  readonly v8: string;
  /** The CPU's; undefined where it is not known. */
  readonly hasAvx2: boolean | undefined;
}

/**
 * "auto" takes 256 bits where all is known to be as tested; 256 is refused where it cannot work.
 *
 * @throws PronkError "unsupported" naming what stands against 256.
 */
export function chooseVectorWidth(asked: SimdWidth, engine: VectorEngine): VectorWidth {
  if (asked === 128) return { bits: 128 };
  const obstacle = obstacleOf(engine);
  if (asked === 256) {
    if (obstacle === undefined) return { bits: 256 };
    throw new PronkError("unsupported", `simdWidth 256: ${obstacle}`);
  }
  const reason = obstacle ?? doubtOf(engine);
  return reason === undefined ? { bits: 256 } : { bits: 128, reason };
}

/** Host.setSimdWidth: chooses, and sets V8's flag before any kernel is compiled. @throws PronkError "unsupported". */
export function setSimdWidth(asked: SimdWidth): VectorWidth {
  if (asked === 128) return { bits: 128 };
  const { arch, versions, platform } = process;
  const hasAvx2 = platform === "linux" ? cpuHasAvx2(readCpuInfo()) : undefined;
  const width = chooseVectorWidth(asked, { arch, v8: versions.v8, hasAvx2 });
  if (width.bits === 256) {
    // Loaded only here: most starts on other CPUs and Nodes need none of it.
    const v8: typeof import("node:v8") = createRequire(import.meta.url)("node:v8");
    v8.setFlagsFromString(JOIN_VECTORS);
  }
  return width;
}

/** Whether the first processor has AVX2, by Linux's /proc/cpuinfo; undefined where that has no flags. */
export function cpuHasAvx2(cpuInfo: string | undefined): boolean | undefined {
  const flags = cpuInfo && /^flags\s*:(.*)$/m.exec(cpuInfo)?.[1];
  return flags ? flags.split(/\s+/).includes("avx2") : undefined;
}

/** Why 256 bits cannot be. */
function obstacleOf({ arch, v8, hasAvx2 }: VectorEngine): string | undefined {
  if (arch !== "x64") return `not on ${arch} CPUs`;
  if (compare(v8, OLDEST_RIGHT) < 0) {
    return `V8 ${short(v8)} is older than ${OLDEST_RIGHT.join(".")}, the first that joins vectors rightly`;
  }
  return hasAvx2 === false ? "this CPU has no AVX2" : undefined;
}

/** Why 256 bits are left to who asks for them. */
function doubtOf({ v8, hasAvx2 }: VectorEngine): string | undefined {
  if (compare(v8, NEWEST_TESTED) > 0) {
    return `V8 ${short(v8)} is newer than what was tested, ${NEWEST_TESTED.join(".")}`;
  }
  // An unknown flag is a complaint on stderr: others than Node build V8 their own way.
  if (!/-node\.\d+$/.test(v8)) return `V8 ${v8} is not Node's own`;
  return hasAvx2 === undefined ? "whether this CPU has AVX2 is not known" : undefined;
}

function compare(v8: string, [major, minor]: readonly [number, number]): number {
  const [a = 0, b = 0] = v8.split(".").map(Number);
  return a - major || b - minor;
}

/** `13.6` of `13.6.233.17-node.53`. */
function short(v8: string): string {
  return v8.split(".").slice(0, 2).join(".");
}

function readCpuInfo(): string | undefined {
  try {
    const file = openSync("/proc/cpuinfo", "r");
    try {
      const bytes = Buffer.alloc(CPU_INFO_BYTES);
      return bytes.toString("latin1", 0, readSync(file, bytes, 0, bytes.length, 0));
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}
