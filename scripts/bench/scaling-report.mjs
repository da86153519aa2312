// From the raw figures of `npm run bench -- scaling` to tables and lines.
import { spreadOf } from "../../dist/src/cli/bench-workload.js";
import { table, withSpread } from "./tables.mjs";

const median = (values) => spreadOf(values).median;

/** What --json prints: per shape medians over the rounds, shares of the limits, and both fits. */
export function summarized(document) {
  const shapes = document.shapes.map(summaryOf);
  return {
    ...document,
    shapes,
    fits: {
      decode: fitLine(shapes.map((s) => [s.parameters / 1e9, 1000 / s.decode_tps.median])),
      prefill: fitLine(shapes.map((s) => [s.parameters / 1e9, 1000 / s.prefill_tps.median])),
    },
  };
}

/** A round's figure is the median of its repetitions; limits are the best of all rounds. */
function summaryOf({ rounds, ...facts }) {
  const over = (value) => spreadOf(rounds.map(value));
  const [read_gbps, gemv_gbps, gemm_gops] = ["read_gbps", "gemv_gbps", "gemm_gops"].map((key) =>
    Math.max(...rounds.map(({ limits }) => limits[key])),
  );
  const prefill_tps = over((round) => median(round.prefill_tps));
  const decode_tps = over((round) => median(round.decode_tps));
  const waits = rounds.map(({ waited }) => waited).filter((share) => typeof share === "number");
  return {
    ...facts,
    // More than one where noise has made the choice.
    kernels: [...new Set(rounds.map(({ kernel }) => kernel))],
    memory: rounds[0].memory,
    load_s: over((round) => round.load_ms / 1000),
    prefill_tps,
    decode_tps,
    rss_bytes: over((round) => round.rss_bytes),
    waited: waits.length > 0 ? spreadOf(waits) : null,
    limits: { read_gbps, gemv_gbps, gemm_gops },
    decode_share: decode_tps.median / ((read_gbps * 1e9) / facts.decode_bytes),
    prefill_share: prefill_tps.median / ((gemm_gops * 1e9) / facts.prefill_operations),
  };
}

/**
 * y = a + b x through points whose y span orders of magnitude: the sum of squares of relative errors is least.
 *
 * @returns `{ a, b, error }`, the last the largest relative error; undefined of fewer than three points.
 */
export function fitLine(points) {
  if (points.length < 3) return undefined;
  const sum = (value) => points.reduce((total, [x, y]) => total + value(x, y) / (y * y), 0);
  const [n, sx, sy] = [sum(() => 1), sum((x) => x), sum((_, y) => y)];
  const [sxx, sxy] = [sum((x) => x * x), sum((x, y) => x * y)];
  const b = (n * sxy - sx * sy) / (n * sxx - sx * sx);
  const a = (sy - b * sx) / n;
  const error = Math.max(...points.map(([x, y]) => Math.abs((a + b * x) / y - 1)));
  return { a, b, error };
}

/** The document as Markdown. */
export function scalingTables(document) {
  const { machine, core, runtime, rounds, date } = document;
  const { shapes, fits } = summarized(document);
  const where = core === null ? "not pinned: no taskset" : `pinned to core ${core}`;
  const flag = { true: "avx_vnni", false: "no avx_vnni" }[machine.avx_vnni] ?? "avx_vnni unknown";
  const form = shapes[0].layer_form;
  const kernels = [...new Set(shapes.flatMap((s) => s.kernels))].join(" and ");
  const mega = (bytes) => (bytes / 1e6).toFixed(0);
  const parts = [
    `${machine.cpu} (${flag}), ${machine.cores} cores, ${machine.memory_gb} GB, ${machine.system}; ${where}. ` +
      `${runtime}, ${kernels} kernels, ${form} layers, rounds: ${rounds}; ${date}.`,
    table(
      [
        "shape of",
        "parameters",
        "load, s",
        "prefill, tok/s",
        "decode, tok/s",
        "WASM memory, MB",
        "peak RSS, MB",
        "waited",
      ],
      shapes.map((s) => [
        s.like,
        `${mega(s.parameters)} M`,
        withSpread(s.load_s, 2),
        withSpread(s.prefill_tps, 1),
        withSpread(s.decode_tps, 1),
        mega(s.memory.total),
        mega(s.rss_bytes.median),
        s.waited ? `${(s.waited.median * 100).toFixed(0)} %` : "unknown",
      ]),
    ),
    "Against the limits of the core, measured in the same run:",
    table(
      [
        "shape of",
        "MB a token",
        "read limit, GB/s",
        "decode of it",
        "GEMV in cache, GB/s",
        "GOP a token",
        "GEMM limit, GOP/s",
        "prefill of it",
      ],
      shapes.map((s) => [
        s.like,
        (s.decode_bytes / 1e6).toFixed(1),
        s.limits.read_gbps.toFixed(1),
        percent(s.decode_share),
        s.limits.gemv_gbps.toFixed(1),
        (s.prefill_operations / 1e9).toFixed(3),
        s.limits.gemm_gops.toFixed(0),
        percent(s.prefill_share),
      ]),
    ),
  ];
  parts.push(
    "Milliseconds a token, for each 10^9 parameters:",
    table(
      ["", ...shapes.map(({ like }) => like)],
      ["decode", "prefill"].map((what) => [
        what,
        ...shapes.map((s) => (1e12 / s[`${what}_tps`].median / s.parameters).toFixed(1)),
      ]),
    ),
  );
  if (fits.decode) {
    parts.push(
      "As a line, by least relative squares, in milliseconds a token for P x 10^9 parameters: " +
        `decode ${lineText(fits.decode)}, prefill ${lineText(fits.prefill)}.`,
    );
  }
  const shorter = shapes.filter((s) => s.prefill_tokens !== shapes[0].prefill_tokens);
  const fewer = shapes.filter((s) => s.decode_steps !== shapes[0].decode_steps);
  const exceptions = [
    ...shorter.map((s) => `${s.prefill_tokens} tokens of ${s.like}`),
    ...fewer.map((s) => `${s.decode_steps} steps of ${s.like}`),
  ];
  parts.push(
    `Prefill is of ${shapes[0].prefill_tokens} tokens, decode of ${shapes[0].decode_steps} steps` +
      `${exceptions.length > 0 ? `; ${exceptions.join(", ")}` : ""}.`,
  );
  return parts.join("\n\n");
}

function lineText({ a, b, error }) {
  return `${a.toFixed(2)} + ${b.toFixed(1)} P (off by at most ${percent(error)})`;
}

const percent = (share) => `${(share * 100).toFixed(0)} %`;
