// From the raw figures of `npm run bench -- stages` to the tables of docs/benchmarks.md.
import { table } from "./tables.mjs";

/** The document as Markdown. */
export function stagesTables({
  machine,
  date,
  model,
  runtime,
  rounds,
  rows,
  largest_stage,
  invocations,
}) {
  const figure = ({ median, min, max }, digits = 1) =>
    `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
  const share = ({ median, min, max }) =>
    figure({ median: 100 * median, min: 100 * min, max: 100 * max });
  return [
    `${machine.cpu}; ${model}, ${runtime}, rounds: ${rounds}; ${date}. The largest stage in workerd takes ${(largest_stage / 1e6).toFixed(1)} MB; at most ${invocations} invocations a generation.`,
    table(
      ["", "ms a token", "of them computed", "more, %"],
      rows.map(({ title, ms, computed, more }) => [
        title,
        figure(ms),
        figure(computed),
        share(more),
      ]),
    ),
  ].join("\n\n");
}
