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

/** A runtime's variants, `["Node 24 dot", (result) => ...]`; those of modules belong to their first variant. */
function columnsOf({ runtime, results }) {
  const title = runtime.replace(/\..*/, "");
  const variants = ["dot", "m", "simd"].filter((v) => results.some((r) => r.variant === v));
  const modules = { [variants[0]]: variants[0] === "simd" ? "plain" : "relaxed", simd: "plain" };
  return variants.map((variant) => ({
    title: `${title} ${variant}`,
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
    `Nanoseconds an element, ${newest.runtime}, relaxed module: ${newest.results
      .filter(({ unit, variant }) => unit === "ns each" && variant === "relaxed")
      .map(({ kernel, what, best }) => `${kernel} (${what}) ${best.toPrecision(2)}`)
      .join(", ")}.`,
  ].join("\n\n");
}
