/**
 * Opens what a list names, one after the other, as a user would, and prints for each how it was refused, in how many
 * milliseconds, and the process's peak of memory so far. Run as a process of its own with a small heap.
 */
import { readFileSync } from "node:fs";
import { loadSnapshots } from "../../../src/cli/snapshot-option.ts";
import {
  AutoConfig,
  AutoModelForCausalLM,
  AutoTokenizer,
  openCheckpointFolder,
  openDirectory,
  outputDirectory,
  parseAssetCards,
  saveHfDirectory,
} from "../../../src/platform/node/index.ts";
import { toyEngine } from "../engine/toy-engine.ts";

export type Way = "model" | "config" | "tokenizer" | "copy" | "cards" | "snapshot";

export interface ToOpen {
  readonly name: string;
  readonly way: Way;
  readonly path: string;
}

export interface Opened {
  readonly name: string;
  /** undefined: it opened. */
  readonly code?: string;
  readonly message?: string;
  readonly ms: number;
  readonly peakMb: number;
}

const WAYS: Readonly<Record<Way, (path: string) => Promise<unknown>>> = {
  model: async (path) => (await AutoModelForCausalLM.fromPretrained(path, { ctx: 16 })).dispose(),
  config: async (path) => JSON.stringify((await AutoConfig.fromPretrained(path)).toJSON()).length,
  tokenizer: async (path) => (await AutoTokenizer.fromPretrained(path)).encode("Hello"),
  copy: async (path) =>
    saveHfDirectory(
      await openCheckpointFolder(openDirectory(path)),
      outputDirectory(`${path}.copy`),
    ),
  cards: async (path) => parseAssetCards(readFileSync(path, "utf8"), { where: "cards.yaml" }),
  snapshot: (path) =>
    loadSnapshots(toyEngine({ ctx: 256, maxRows: 16, slots: 2 }).engine, {
      positionals: [],
      values: { snapshot: [path] },
    }),
};

for (const { name, way, path } of JSON.parse(readFileSync(process.argv[2], "utf8")) as ToOpen[]) {
  const started = performance.now();
  let refused: { code?: string; message?: string } = {};
  try {
    await WAYS[way](path);
  } catch (error) {
    const { code, message, name: kind } = error as { code?: string; message: string; name: string };
    refused = { code: kind === "PronkError" ? code : kind, message };
  }
  const ms = Math.round(performance.now() - started);
  const peakMb = Math.round(process.resourceUsage().maxRSS / 1024);
  console.log(JSON.stringify({ name, ...refused, ms, peakMb }));
}
