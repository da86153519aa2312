// From rounds to tables.
import { spreadOf } from "../../dist/src/cli/bench-workload.js";

/** The figures, as columns. */
const FIGURES = [
  { key: "prefill_tps", title: "prefill, tok/s", digits: 1 },
  { key: "decode_tps", title: "decode, tok/s", digits: 1 },
  { key: "cold_ttft_ms", title: "first token, ms", digits: 0 },
  { key: "rss_mb", title: "peak memory, MB", digits: 0 },
];

/** One contender over all rounds: per figure the median, least and greatest of the rounds. */
export function summaryOf({ contender, rounds }) {
  const { name, peer, version, runtime, weights } = contender;
  const { kernel, threads } = rounds[0];
  const waits = rounds.map(({ waited }) => waited).filter((share) => share !== undefined);
  return {
    name,
    peer,
    version,
    runtime,
    weights,
    kernel,
    threads,
    ...Object.fromEntries(FIGURES.map(({ key }) => [key, spreadOf(rounds.map((r) => r[key]))])),
    waited: waits.length > 0 ? spreadOf(waits) : null,
  };
}

/**
 * pronk by each peer, for each figure: divided within each round, where both met the same machine,
 * then the median of the rounds.
 */
export function ratiosOf(results) {
  const isOurs = ({ contender }) => contender.peer === "pronk";
  return results.filter(isOurs).flatMap((ours) =>
    results
      .filter((result) => !isOurs(result))
      .map((theirs) => ({
        of: ours.contender.name,
        by: theirs.contender.name,
        ...Object.fromEntries(
          FIGURES.map(({ key }) => [
            key,
            spreadOf(ours.rounds.map((round, i) => round[key] / theirs.rounds[i][key])),
          ]),
        ),
      })),
  );
}

/** The document as Markdown. */
export function resultTables(document) {
  const { machine, core, model, date, rounds, reps, contenders, ratios } = document;
  const where = core === null ? "not pinned: no taskset" : `pinned to core ${core}`;
  const parts = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memory_gb} GB, ${machine.system}; ${where}. ` +
      `${model.name} (${model.bytes} bytes${model.sha256 ? `, SHA-256 ${model.sha256.slice(0, 12)}…` : ""}), ` +
      `rounds: ${rounds}, repetitions in each: ${reps}; ${date}.`,
    table(
      ["", ...FIGURES.map(({ title }) => title), "waited"],
      contenders.map((c) => [
        c.name,
        ...FIGURES.map(({ key, digits }) => withSpread(c[key], digits)),
        c.waited ? `${(c.waited.median * 100).toFixed(0)} %` : "unknown",
      ]),
    ),
    contenders
      .map((c) => {
        const kernels = c.peer === "pronk" ? `, ${c.kernel} kernels` : "";
        return `- ${c.name}: ${c.version}, ${c.runtime}${kernels}, ${c.threads} thread, ${c.weights}.`;
      })
      .join("\n"),
  ];
  if (ratios.length > 0) {
    parts.push(
      table(
        ["ratio", ...FIGURES.map(({ title }) => title.replace(/,.*/, ""))],
        ratios.map((r) => [
          `${r.of} / ${r.by}`,
          ...FIGURES.map(({ key }) => withSpread(r[key], 2)),
        ]),
      ),
    );
  }
  return parts.join("\n\n");
}

/** Replaces what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. */
export function replaceSection(page, name, content) {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`no section ${begin} … ${end}`);
  return `${page.slice(0, from + begin.length)}\n${content}\n${page.slice(to)}`;
}

function withSpread({ median, min, max }, digits) {
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}

/** Padded, so that it reads in a terminal too. */
function table(head, rows) {
  const widths = head.map((title, i) =>
    Math.max(3, title.length, ...rows.map((row) => row[i].length)),
  );
  const line = (cells) =>
    `| ${cells.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join(" | ")} |`;
  const rule = `| ${widths.map((width, i) => (i ? `${"-".repeat(width - 1)}:` : "-".repeat(width))).join(" | ")} |`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}
