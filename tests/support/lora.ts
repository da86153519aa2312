/** The golden adapters of PEFT, for the golden model `gqa`. */
import { readFileSync } from "node:fs";
import type { LoraAdapter } from "../../src/adapters/lora-adapter.ts";
import { openLoraAdapter } from "../../src/adapters/open-lora-adapter.ts";
import { readSafetensors } from "../../src/formats/safetensors/read-safetensors.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { memorySource } from "../../src/sources/memory.ts";
import type { GoldenCase } from "./golden-model.ts";

const root = new URL("../goldens/lora/", import.meta.url);

export const LORA_BASE = "gqa";

export function loraCases(): readonly GoldenCase[] {
  return JSON.parse(readFileSync(new URL("golden.json", root), "utf8")).cases;
}

export function loraPath(adapter: string): string {
  return new URL(adapter, root).pathname;
}

export function openGoldenAdapter(adapter: string): Promise<LoraAdapter> {
  return openLoraAdapter(directoryFolder(nodeHost, loraPath(adapter)));
}

/** Of a case: what is active with which scale. */
export function adaptersOf({ inputs }: GoldenCase): readonly string[] {
  const { adapter, adapters } = inputs as { adapter?: string; adapters?: readonly string[] };
  return adapters ?? (adapter === undefined ? [] : [adapter]);
}

/** (rows, length, vocab) */
export async function loraLogits(name: string): Promise<Float32Array> {
  const bytes = new Uint8Array(readFileSync(new URL("golden.safetensors", root)));
  const index = await readSafetensors(memorySource(bytes, "golden.safetensors"));
  const { start, bytes: size } = index.get(`${name}/logits`)!;
  return new Float32Array(bytes.slice(start, start + size).buffer);
}
