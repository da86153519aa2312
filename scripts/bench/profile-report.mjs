// From the raw figures of `npm run bench -- profile` to its table.
/** What counts as matrix products: those of attention, too. */
const PRODUCTS = [
  "q, k, v",
  "attention",
  "attention output",
  "gate, up",
  "down",
  "head",
  "products",
];

const total = (parts) => Object.values(parts).reduce((sum, ms) => sum + ms, 0);

/** The share of the time that is spent in matrix products, 0 to 1. */
export function productShare(parts) {
  return PRODUCTS.reduce((sum, key) => sum + (parts[key] ?? 0), 0) / total(parts);
}

/** The document as Markdown. */
export function profileTable(document) {
  const { prompt, reps, runtime, kernel, prefill_ms: prefill, decode_ms: decode } = document;
  const keys = [...new Set([...PRODUCTS, ...Object.keys(prefill), ...Object.keys(decode)])].filter(
    (key) => key in prefill || key in decode,
  );
  const cell = (parts, key) => {
    const ms = parts[key] ?? 0;
    return `${ms.toPrecision(3)} | ${((100 * ms) / total(parts)).toFixed(1)} %`;
  };
  const { machine, date } = document;
  const share = (parts) => `**${(100 * productShare(parts)).toFixed(1)} %**`;
  return [
    `${machine.cpu}; ${date}. ${runtime}, ${kernel} kernels, one thread, medians of ${reps}, in milliseconds.`,
    "",
    `| | prompt of ${prompt} | | a token | |`,
    "|---|---:|---:|---:|---:|",
    ...keys.map((key) => `| ${key} | ${cell(prefill, key)} | ${cell(decode, key)} |`),
    `| **matrix products, with attention** | | ${share(prefill)} | | ${share(decode)} |`,
    `| **all** | **${total(prefill).toFixed(0)}** | | **${total(decode).toFixed(2)}** | |`,
  ].join("\n");
}
