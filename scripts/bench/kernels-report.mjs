// From the raw figures of `npm run bench -- kernels` in several runtimes to the tables of docs/kernels.md.
import { table } from "./tables.mjs";

/** Rows of the table of products: kernels, and which of their sizes. */
const PRODUCTS = [
  [/^gemv_/, /./],
  [/^gemm_/, /^64 x 1536/],
  [/^matmul_/, /./],
  [/^attention_i/, /./],
];

/** `113 (74 %)`: the best, and its share of the limit. */
function cell(result) {
  if (!result) return "";
  const { best, share } = result;
  return `${best.toFixed(0)} (${(share * 100).toFixed(0)} %)`;
}

/** The module of a run's fastest variants: wide, relaxed or plain. */
function moduleOf(results) {
  return ["wide", "relaxed", "plain"].find((name) => results.some((r) => r.variant === name));
}

/**
 * A runtime's variants, `{ title: "Node 26 dot, 256 bits", find: (kernel, what) => result }`; the results
 * of modules belong to their first variant.
 */
function columnsOf({ runtime, results }) {
  const [, title, width] = /^(\S+ \d+)[^,]*(.*)$/.exec(runtime);
  const variants = ["dot", "m", "simd"].filter((v) => results.some((r) => r.variant === v));
  const modules = { simd: "plain", [variants[0]]: moduleOf(results) };
  return variants.map((variant) => ({
    title: `${title} ${variant}${width}`,
    find: (kernel, what) =>
      results.find(
        (r) =>
          r.kernel === kernel &&
          r.what === what &&
          (r.variant === variant || r.variant === modules[variant]),
      ),
  }));
}

/** The document as Markdown. */
export function kernelTables({ machine, core, date, runtimes }) {
  const columns = runtimes.flatMap(columnsOf);
  const [{ results }] = runtimes;
  const rows = new Map(results.map(({ kernel, what }) => [`${kernel}, ${what}`, [kernel, what]]));
  const isProduct = ([kernel, what]) =>
    PRODUCTS.some(([kernels, sizes]) => kernels.test(kernel) && sizes.test(what));
  const flag = { true: "avx_vnni", false: "no avx_vnni" }[machine.avx_vnni] ?? "avx_vnni unknown";
  const where = core === null ? "not pinned" : `one core of ${machine.cores}`;
  const number = (n) => n?.toFixed(0) ?? "–";
  const newest = runtimes[0];
  const module = moduleOf(newest.results);
  return [
    `${machine.cpu} (${flag}), ${where}; ${date}. GOP/s, the best of the samples, and its share of the limit.`,
    table(
      ["", ...columns.map(({ title }) => title)],
      [...rows.values()]
        .filter(isProduct)
        .map(([kernel, what]) => [
          `${kernel.replace("_", " ")}, ${what}`,
          ...columns.map(({ find }) => cell(find(kernel, what))),
        ]),
    ),
    "The limits, of the same runs:",
    table(
      ["", "dot, GOP/s", "m", "simd", "f32", "L2 cache, GB/s", "60 MB"],
      runtimes.map(({ runtime, peaks, reading }) => [
        runtime,
        ...["dot", "m", "simd", "f32"].map((kind) => number(peaks[kind])),
        number(reading.l2),
        number(reading.memory),
      ]),
    ),
    `Nanoseconds an element, ${newest.runtime}, ${module} module: ${newest.results
      .filter(({ unit, variant }) => unit === "ns each" && variant === module)
      .map(({ kernel, what, best }) => `${kernel} (${what}) ${best.toPrecision(2)}`)
      .join(", ")}.`,
  ].join("\n\n");
}
