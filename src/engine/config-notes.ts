/** What a configuration asks for and a backend does not do, in words. */
import type { LlamaConfig } from "../model/config.ts";

export function configNotes({ pretraining_tp = 1 }: LlamaConfig, backend: string): string[] {
  if (pretraining_tp === 1 || backend === "reference") return [];
  return [
    `pretraining_tp ${pretraining_tp}: these kernels sum each product whole; the reference backend sums in slices`,
  ];
}
