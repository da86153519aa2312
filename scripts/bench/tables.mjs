// Text that reads in a terminal and on a page.

/** A Markdown table, padded; all columns but the first stand right. */
export function table(head, rows) {
  const widths = head.map((title, i) =>
    Math.max(3, title.length, ...rows.map((row) => row[i].length)),
  );
  const line = (cells) =>
    `| ${cells.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join(" | ")} |`;
  const rule = `| ${widths.map((width, i) => (i ? `${"-".repeat(width - 1)}:` : "-".repeat(width))).join(" | ")} |`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}

/** `2.34 (2.24 to 2.44)`; a dash for what was not measured. */
export function withSpread(spread, digits) {
  if (!spread) return "–";
  const { median, min, max } = spread;
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}

/** The machine, the core and the model of a run, as one sentence. */
export function settingText({ machine, core, model, rounds, reps, date }) {
  const flag = { true: "avx_vnni", false: "no avx_vnni" }[machine.avx_vnni] ?? "avx_vnni unknown";
  const where = core === null ? "not pinned: no taskset" : `pinned to core ${core}`;
  const hash = model.sha256 ? `, SHA-256 ${model.sha256.slice(0, 12)}…` : "";
  return (
    `${machine.cpu} (${flag}), ${machine.cores} cores, ${machine.memory_gb} GB, ${machine.system}; ${where}. ` +
    `${model.name} (${model.bytes} bytes${hash}), rounds: ${rounds}, repetitions in each: ${reps}; ${date}.`
  );
}
