// A model over several memories.
import { arrow, box, drawing, text } from "./drawing.mjs";

export function stages() {
  const width = 760;
  const height = 330;
  const title = "A model in stages";
  const description =
    "A front has the HTTP API, the tokenizer, the slots, the prefix cache and the sampler, but no weights. It asks each stage in turn: the first has the embedding, the next ones consecutive layers with their keys and values, the last the head. Rows of numbers go from the front to a stage and back; logits come from the last. Stages do not call each other.";
  const parts = [
    ["stage 1", ["embedding", ""]],
    ["stage 2", ["layers 1 to 8,", "their cache"]],
    ["stage 3", ["layers 9 to 16,", "their cache"]],
    ["stage 4", ["head", ""]],
  ];
  return drawing({ width, height, title, description }, [
    box({
      x: 20,
      y: 24,
      width: 720,
      height: 84,
      kind: "warm",
      head: "front",
      lines: [
        "HTTP, tokenizer, slots, prefix cache, grammar, sampler",
        "no weight, no keys or values",
      ],
    }),
    parts.map(([head, lines], i) => {
      const x = 20 + i * 186;
      return [
        box({
          x,
          y: 186,
          width: 162,
          height: 84,
          kind: "strong",
          head,
          lines: lines.filter(Boolean),
        }),
        arrow([x + 54, 108], [x + 54, 184]),
        arrow([x + 108, 186], [x + 108, 110]),
        text(x + 16, 152, ["ids", "rows", "rows", "rows"][i], "small"),
        text(x + 118, 152, ["rows", "rows", "rows", "logits"][i], "small"),
      ];
    }),
    text(
      20,
      306,
      "One after the other for each token. A stage is a memory of this process, another process, or a Worker.",
      "small",
    ),
  ]);
}
