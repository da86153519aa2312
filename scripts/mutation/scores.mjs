// Prints what mutation testing found: a line a file, the mutants that no test noticed, and the score of the whole.

const NOTICED = new Set(["Killed", "Timeout"]);
const MISSED = new Set(["Survived", "NoCoverage"]);

/** The mutant's own text, on one line. */
function change({ location, replacement, mutatorName, status }, lines) {
  const { start, end } = location;
  const text = lines[start.line - 1].slice(
    start.column - 1,
    start.line === end.line ? end.column - 1 : undefined,
  );
  const to = (replacement ?? "").replaceAll(/\s+/g, " ");
  const reached = status === "NoCoverage" ? " (no test comes here)" : "";
  return `  ${start.line}:${start.column} ${mutatorName}: ${text.slice(0, 70)} -> ${to.slice(0, 70)}${reached}`;
}

/** Percent of the mutants that a test noticed. */
export function printScores(name, { files }) {
  let noticed = 0;
  let missed = 0;
  const rows = [];
  for (const [file, { mutants, source }] of Object.entries(files)) {
    const own = mutants.filter(({ status }) => NOTICED.has(status)).length;
    const others = mutants.filter(({ status }) => MISSED.has(status));
    noticed += own;
    missed += others.length;
    const share = own + others.length === 0 ? 100 : (100 * own) / (own + others.length);
    rows.push(`${share.toFixed(1).padStart(5)} % ${own}/${own + others.length} ${file}`);
    rows.push(...others.map((mutant) => change(mutant, source.split("\n"))));
  }
  const score = noticed + missed === 0 ? 100 : (100 * noticed) / (noticed + missed);
  const timeouts = Object.values(files).flatMap(({ mutants }) =>
    mutants.filter(({ status }) => status === "Timeout"),
  ).length;
  console.log(rows.join("\n"));
  console.log(
    `${name}: ${score.toFixed(1)} % of ${noticed + missed} mutants noticed (${timeouts} by a loop without an end), ${missed} not`,
  );
  return score;
}
