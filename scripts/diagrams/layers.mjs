// The layers of src, in groups: tests/unit/documents/diagrams.test.ts holds them against tests/architecture.test.ts.
import { arrow, box, drawing, text } from "./drawing.mjs";

/** Lowest first, as imports may point down alone. */
export const GROUPS = [
  ["bytes", "what files are made of", ["errors.ts", "sources", "formats", "pack"]],
  [
    "words",
    "texts to tokens, and what may be said",
    ["tokenizers", "templates", "grammar", "tools"],
  ],
  ["a model", "as data, without arithmetic", ["model", "checkpoints", "adapters"]],
  ["arithmetic", "C as WebAssembly, WGSL, plain loops", ["backends", "stages", "generate"]],
  [
    "one model, many callers",
    "slots, batches, caches; engines elsewhere",
    ["engine", "remote", "hub", "llama"],
  ],
  ["to the world", "HTTP, the AI SDK", ["server", "ai-sdk"]],
  [
    "a runtime's own",
    "files, buckets, threads, terminals, pages",
    ["platform", "cli", "playground"],
  ],
];

const WIDTH = 760;
const ROW = 58;

export function layers() {
  const height = GROUPS.length * ROW + 72;
  const rows = GROUPS.toReversed().map(([name, what, folders], i) => {
    const y = 24 + i * ROW;
    const kind = i === 0 ? "warm" : name === "arithmetic" ? "strong" : "box";
    return [
      box({ x: 60, y, width: WIDTH - 84, height: ROW - 10, kind }),
      text(76, y + 21, name, "head"),
      text(76, y + 39, what, "small"),
      text(360, y + 29, folders.map((folder) => folder.replace(".ts", "")).join("  ·  ")),
    ];
  });
  const title = "The layers of pronk";
  const said = GROUPS.toReversed().map(([name, , folders]) => `${name} (${folders.join(", ")})`);
  const description = `Seven groups of layers, from the top: ${said.join("; ")}. Imports point down only; nothing below platform knows a runtime.`;
  return drawing({ width: WIDTH, height, title, description }, [
    arrow([34, 30], [34, height - 56]),
    rows,
    text(
      60,
      height - 18,
      "Imports point down. Only the topmost group knows a runtime: it hands in files, fetch, clocks.",
      "small",
    ),
  ]);
}
