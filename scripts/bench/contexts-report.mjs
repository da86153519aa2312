// From the raw figures of `npm run bench -- contexts` to medians, ratios, bars and tables.
import { spreadOf } from "../../dist/src/cli/bench-workload.js";
import { barTable, CONTEXT_BARS, judge } from "./bars.mjs";
import { settingText, table, withSpread } from "./tables.mjs";

/** The depths of the bars. */
const [SHALLOW, DEEP] = [128, 4096];

const at = (round, positions) => round.contexts.find((c) => c.positions === positions);
const depthsOf = ({ rounds }) => rounds[0].contexts.map(({ positions }) => positions);

/** Per depth: the rounds' speeds, and decode by that at the first depth, divided within each round. */
function summaryOf({ rounds, ...facts }) {
  const depths = depthsOf({ rounds });
  const [{ kernel, kernel_reason, threads }] = rounds;
  const over = (value) => spreadOf(rounds.map(value));
  return {
    ...facts,
    kernel,
    kernel_reason,
    threads,
    contexts: depths.map((positions) => ({
      positions,
      prefill_tps: over((round) => at(round, positions).prefill_tps),
      decode_tps: over((round) => at(round, positions).decode_tps),
      decode_ms: over((round) => 1000 / at(round, positions).decode_tps),
      decode_of_first: over(
        (round) => at(round, positions).decode_tps / at(round, depths[0]).decode_tps,
      ),
    })),
  };
}

/** pronk by each peer at each depth, divided within each round. */
function ratiosOf(contenders) {
  const ours = contenders.filter(({ peer }) => peer === "pronk");
  const theirs = contenders.filter(({ peer }) => peer !== "pronk");
  return ours.flatMap((a) =>
    theirs.flatMap((b) =>
      depthsOf(a).map((positions) => ({
        of: a.label,
        by: b.label,
        positions,
        ...Object.fromEntries(
          ["prefill_tps", "decode_tps"].map((key) => [
            key,
            spreadOf(
              a.rounds.map(
                (round, i) => at(round, positions)[key] / at(b.rounds[i], positions)[key],
              ),
            ),
          ]),
        ),
      })),
    ),
  );
}

function barsOf({ machine, contenders }) {
  const summaries = contenders.map(summaryOf);
  const ratios = ratiosOf(contenders);
  return judge(CONTEXT_BARS, machine.avx_vnni, ({ ours, peer }) => {
    const mine = summaries.find(({ role }) => role === ours);
    if (!mine) return undefined;
    if (peer) {
      const label = summaries.find((c) => c.peer === peer)?.label;
      const found = ratios.find(
        (r) => r.of === mine.label && r.by === label && r.positions === DEEP,
      );
      return found && { value: found.decode_tps.median };
    }
    const deep = mine.contexts.find(({ positions }) => positions === DEEP);
    if (!deep || mine.contexts[0].positions !== SHALLOW) return undefined;
    return { value: deep.decode_of_first.median };
  });
}

/** What --json prints. */
export function contextsSummarized(document) {
  const { contenders } = document;
  return {
    ...document,
    contenders: contenders.map(summaryOf),
    ratios: ratiosOf(contenders),
    bars: barsOf(document),
  };
}

/** The document as Markdown. */
export function contextTables(document) {
  const { contenders, ratios, bars } = contextsSummarized(document);
  const first = contenders[0].contexts[0].positions;
  const rows = contenders.flatMap(({ label, contexts }) =>
    contexts.map((c) => [
      label,
      String(c.positions),
      withSpread(c.prefill_tps, 1),
      withSpread(c.decode_tps, 1),
      c.decode_ms.median.toFixed(2),
      withSpread(c.decode_of_first, 2),
    ]),
  );
  const parts = [
    settingText(document),
    table(
      ["", "positions", "prefill, tok/s", "decode, tok/s", "ms a token", `decode / at ${first}`],
      rows,
    ),
    contenders
      .map(({ label, version, runtime, kernel_reason, threads, weights }) => {
        const kernels = kernel_reason ? `, kernels ${kernel_reason}` : "";
        return `- ${label}: ${version}, ${runtime}${kernels}, ${threads} thread, ${weights}.`;
      })
      .join("\n"),
  ];
  if (ratios.length > 0) {
    parts.push(
      table(
        ["ratio", "positions", "prefill", "decode"],
        ratios.map((r) => [
          `${r.of} / ${r.by}`,
          String(r.positions),
          withSpread(r.prefill_tps, 2),
          withSpread(r.decode_tps, 2),
        ]),
      ),
    );
  }
  parts.push("What was to be reached, and the margin:", barTable(bars));
  return parts.join("\n\n");
}
