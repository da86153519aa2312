// From the raw figures of `npm run bench -- prefix` to its table.
import { barTable, judge, PREFIX_BARS } from "./bars.mjs";
import { nodesText, roleOf } from "./on-nodes.mjs";
import { table, withSpread } from "./tables.mjs";

/** The bars hold for a conversation of so many tokens. */
const TOKENS = 1000;

/** In per cent: `3.9 (3.8 to 4.1) %`. */
const percent = ({ median, min, max }) =>
  `${withSpread({ median: 100 * median, min: 100 * min, max: 100 * max }, 1)} %`;

/** What was found for each bar. */
export function prefixBars({ runs, machine }) {
  return judge(PREFIX_BARS, machine.avx_vnni, ({ ours, of }) => {
    const run = runs.find((one) => roleOf(one, runs) === ours);
    return run?.tokens === TOKENS ? { value: 100 * run[`${of}_share`].median } : undefined;
  });
}

/** The document as Markdown. */
export function prefixTables(document) {
  const { runs } = document;
  const tables = runs.map((run) => {
    const { runtime, tokens, snapshot_bytes } = run;
    const size = `${(snapshot_bytes / 1e6).toFixed(1)} MB`;
    return table(
      [`${runtime}, time to the first token, ms`, `${tokens} tokens`, "of the first turn's"],
      [
        ["first turn", withSpread(run.first, 0), ""],
        ["second turn", withSpread(run.second, 1), percent(run.second_share)],
        [
          `the same from a file of ${size}, read and verified`,
          withSpread(run.snapshot, 1),
          percent(run.snapshot_share),
        ],
      ],
    );
  });
  return [
    nodesText(document),
    ...tables,
    "What was to be reached, and the margin:",
    barTable(prefixBars(document)),
  ].join("\n\n");
}
