/** The kernels' variants as they were built: dot and m in relaxed.wasm, and again in wide.wasm. */
import type { KernelVariant } from "../../src/backends/wasm/activation-layout.ts";
import { hasRelaxedSimd } from "../../src/backends/wasm/kernel-variants.ts";

export type KernelBuild = KernelVariant | "wide dot" | "wide m";
export type ModuleName = "plain" | "relaxed" | "wide";

/** Those that this runtime can run: Node 20 has no relaxed SIMD. */
export const BUILDS: readonly KernelBuild[] = hasRelaxedSimd()
  ? ["simd", "m", "dot", "wide m", "wide dot"]
  : ["simd"];

/** The modules that this runtime can run. */
export const MODULES: readonly ModuleName[] = hasRelaxedSimd()
  ? ["plain", "relaxed", "wide"]
  : ["plain"];

export function moduleOf(build: KernelBuild): ModuleName {
  if (build === "simd") return "plain";
  return build.startsWith("wide") ? "wide" : "relaxed";
}

export function variantOf(build: KernelBuild): KernelVariant {
  return build === "wide dot" ? "dot" : build === "wide m" ? "m" : build;
}
