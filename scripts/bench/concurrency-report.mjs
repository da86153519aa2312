// From the raw figures of `npm run bench -- concurrency` to its tables.
import { barTable, CONCURRENCY_BARS, judge } from "./bars.mjs";
import { nodesText, roleOf } from "./on-nodes.mjs";
import { table, withSpread } from "./tables.mjs";

/** The bars hold for so many streams, below this position. */
const [STREAMS, POSITIONS] = [8, 256];

/** What was found for each bar: the median ratio of one kind of requests. */
export function concurrencyBars({ runs, machine }) {
  return judge(CONCURRENCY_BARS, machine.avx_vnni, ({ ours, figure }) => {
    const run = runs.find((one) => roleOf(one, runs) === ours);
    if (run?.streams !== STREAMS || run.positions > POSITIONS) return undefined;
    const row = run.rows.find(({ name }) => figure.endsWith(name));
    return row && { value: row.ratio.median };
  });
}

/** The document as Markdown. */
export function concurrencyTables(document) {
  const { runs } = document;
  const tables = runs.map((run) =>
    table(
      [`${run.runtime}, tokens a second`, "one stream", `${run.streams} streams`, "ratio"],
      run.rows.map(({ name, one_tps, all_tps, ratio }) => [
        name,
        withSpread(one_tps, 1),
        withSpread(all_tps, 1),
        withSpread(ratio, 2),
      ]),
    ),
  );
  return [
    nodesText(document),
    ...tables,
    "What was to be reached, and the margin:",
    barTable(concurrencyBars(document)),
  ].join("\n\n");
}
