// From the raw figures of `npm run bench -- peers` to medians, ratios, bars and tables.
import { spreadOf } from "../../dist/src/cli/bench-workload.js";
import { barTable, judge, PEER_BARS } from "./bars.mjs";
import { settingText, table, withSpread } from "./tables.mjs";

/** The figures, as columns. */
const FIGURES = [
  { key: "prefill_tps", title: "prefill, tok/s", digits: 1 },
  { key: "decode_tps", title: "decode, tok/s", digits: 1 },
  { key: "cold_ttft_ms", title: "first token, ms", digits: 0 },
  { key: "cold_rss_mb", title: "memory then, MB", digits: 0 },
  { key: "rss_mb", title: "peak memory, MB", digits: 0 },
];
/** Ours compute on one thread: what they wait beyond this share of their time is others' work. */
const QUIET = 0.1;

const SPEEDS = FIGURES.slice(0, 2);

const isOurs = ({ peer }) => peer === "pronk";
const measured = (rounds, key) => rounds.every((round) => Number.isFinite(round[key]));

/** One contender over all rounds: per figure the median, least and greatest of the rounds. */
export function summaryOf({ rounds, ...facts }) {
  const [{ kernel, kernel_reason, threads }] = rounds;
  const waits = rounds.map(({ waited }) => waited).filter(Number.isFinite);
  const spread = ({ key }) =>
    measured(rounds, key) ? spreadOf(rounds.map((round) => round[key])) : null;
  return {
    ...facts,
    kernel,
    kernel_reason,
    threads,
    ...Object.fromEntries(FIGURES.map((figure) => [figure.key, spread(figure)])),
    waited: waits.length > 0 ? spreadOf(waits) : null,
  };
}

/** Divided within each round, where both met the same machine, then the median of the rounds. */
export function ratioOf(ours, theirs, key) {
  if (!measured(ours.rounds, key) || !measured(theirs.rounds, key)) return null;
  return spreadOf(ours.rounds.map((round, i) => round[key] / theirs.rounds[i][key]));
}

/** pronk by each peer on the same file, for each figure. */
export function ratiosOf(contenders) {
  return contenders.filter(isOurs).flatMap((ours) =>
    contenders
      .filter((other) => !isOurs(other) && other.format === ours.format)
      .map((theirs) => ({
        of: ours.label,
        by: theirs.label,
        ...Object.fromEntries(FIGURES.map(({ key }) => [key, ratioOf(ours, theirs, key)])),
      })),
  );
}

/**
 * pronk on the newest Node and the file given by each peer in the format in which that peer is fastest,
 * for prefill and for decode; `by` names it.
 */
export function bestRatiosOf(contenders) {
  const ours = contenders.find(({ role }) => role === "newest Node");
  const names = new Set(contenders.filter((c) => !isOurs(c)).map(({ name }) => name));
  if (!ours) return [];
  return [...names].map((peer) => ({
    of: ours.label,
    peer,
    ...Object.fromEntries(
      SPEEDS.map(({ key }) => {
        const speed = (c) => spreadOf(c.rounds.map((round) => round[key])).median;
        const best = contenders
          .filter(({ name }) => name === peer)
          .reduce((a, b) => (speed(b) > speed(a) ? b : a));
        return [key, { by: best.label, ratio: ratioOf(ours, best, key) }];
      }),
    ),
  }));
}

/** Every bar of this CPU, with its value in this run. */
export function barsOf({ machine, contenders }) {
  const best = bestRatiosOf(contenders);
  return judge(PEER_BARS, machine.avx_vnni, (bar) => {
    const { figure } = bar;
    const ours = contenders.find(
      (c) => isOurs(c) && roles(c).includes(bar.ours) && c.format === bar.file,
    );
    if (!ours) return undefined;
    if (bar.best) {
      if (!best.length || best[0].of !== ours.label) return undefined;
      const least = best
        .map((row) => row[figure])
        .reduce((a, b) => (b.ratio.median < a.ratio.median ? b : a));
      return { value: least.ratio.median, against: least.by };
    }
    if (!bar.peer) {
      if (!measured(ours.rounds, figure)) return undefined;
      return { value: spreadOf(ours.rounds.map((round) => round[figure])).median };
    }
    const theirs = contenders.find((c) => c.peer === bar.peer && c.format === bar.file);
    return theirs && { value: ratioOf(ours, theirs, figure).median };
  });
}

/** A contender's role, and the name of its runtime without the version's rest: "Node 20", "Bun". */
function roles({ role, runtime }) {
  return [role, runtime.replace(/ (\d+)\..*$/, " $1"), runtime.replace(/ .*$/, "")];
}

/** What --json prints: medians and ratios in place of the rounds. */
export function summarized(document) {
  const { contenders } = document;
  return {
    ...document,
    contenders: contenders.map(summaryOf),
    ratios: ratiosOf(contenders),
    best_ratios: bestRatiosOf(contenders),
    bars: barsOf(document),
  };
}

/** What the README says of it. */
export function inOneSentence(document) {
  const ratios = ratiosOf(document.contenders);
  const of = (name) => ratios.find((r) => r.of === name && r.by === "node-llama-cpp, Q4_1");
  const times = (ratio, key) => `${ratio[key].median.toFixed(2)} times`;
  const parts = document.contenders
    .filter(isOurs)
    .map(({ label }) => ({ label, ratio: of(label) }))
    .filter(({ ratio }) => ratio?.prefill_tps && ratio.decode_tps)
    .map(
      ({ label, ratio }) =>
        `${label.replace(/, .*/, "")}: ${times(ratio, "prefill_tps")} its prefill, ${times(ratio, "decode_tps")} its decode`,
    );
  return `${parts.join("; ")}.`;
}

/** The document as Markdown. */
export function resultTables(document) {
  const { contenders, ratios, best_ratios, bars } = summarized(document);
  const titles = FIGURES.map(({ title }) => title);
  const short = titles.map((title) => title.replace(/,.*/, ""));
  const parts = [
    settingText(document),
    table(
      ["", ...titles, "waited"],
      contenders.map((c) => [
        c.label,
        ...FIGURES.map(({ key, digits }) => withSpread(c[key], digits)),
        c.waited ? `${(c.waited.median * 100).toFixed(0)} %` : "unknown",
      ]),
    ),
    contenders.map(contenderLine).join("\n"),
  ];
  const disturbed = contenders.filter((c) => isOurs(c) && c.waited?.median > QUIET);
  if (disturbed.length > 0) {
    const labels = disturbed.map(({ label }) => label).join("; ");
    parts.push(`The machine was busy: ${labels} waited for the core. Measure again.`);
  }
  if (ratios.length > 0) {
    const rows = ratios.map((r) => [
      `${r.of} / ${r.by}`,
      ...FIGURES.map(({ key }) => withSpread(r[key], 2)),
    ]);
    parts.push("On the same file:", table(["ratio", ...short], rows));
  }
  if (best_ratios.length > 0) {
    const cell = ({ by, ratio }) => `${withSpread(ratio, 2)}, ${by.split(", ").at(-1)}`;
    parts.push(
      `${best_ratios[0].of}, by each peer in its fastest format:`,
      table(
        ["ratio", ...SPEEDS.map(({ title }) => title.replace(/,.*/, ""))],
        best_ratios.map((row) => [row.peer, ...SPEEDS.map(({ key }) => cell(row[key]))]),
      ),
    );
  }
  parts.push("What was to be reached on such a CPU, and the margin:", barTable(bars));
  return parts.join("\n\n");
}

function contenderLine({ label, version, runtime, kernel_reason, threads, weights }) {
  const kernels = kernel_reason ? `, kernels ${kernel_reason}` : "";
  return `- ${label}: ${version}, ${runtime}${kernels}, ${threads} thread, ${weights}.`;
}
