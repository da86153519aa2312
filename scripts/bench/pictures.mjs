// From the raw figures of benches to pictures: what docs/*.svg are made of.
import { spreadOf } from "../../dist/src/cli/bench-workload.js";
import { speedBars, stackedBars } from "../../dist/src/cli/pictures/bars.js";
import { plot, roundAxis } from "../../dist/src/cli/pictures/plot.js";
import { summaryOf } from "./report.mjs";

const MB = 1e6;

/** @param document of `npm run bench -- peers`. */
export function peersPicture({ contenders, machine, date }) {
  const rows = contenders.map(summaryOf).map((row) => ({
    label: row.label,
    ours: row.peer === "pronk",
    prefill: row.prefill_tps,
    decode: row.decode_tps,
  }));
  const said = ({ label, prefill, decode }) =>
    `${label}: ${prefill.median.toFixed(0)} and ${decode.median.toFixed(0)}`;
  return speedBars({
    title: "Prefill and decode, tokens per second, one thread",
    subtitle: `${machine.cpu}, ${date}; medians of rounds, lines from the least to the greatest`,
    description: `Tokens a second of prefill and decode. ${rows.map(said).join("; ")}.`,
    rows,
  });
}

/** @param document of `npm run bench -- quality`: the forms of one file, by their weights' bytes. */
export function qualityPicture({ forms, texts, model, date }) {
  const measured = forms.filter(({ quantization }) => quantization);
  const used = texts.filter(({ use }) => use !== "choice").map(({ name }) => name);
  const series = used.map((name) => ({
    name,
    points: measured.map((form) => ({
      x: form.memory.weights / MB,
      y: 100 * form.texts.find((text) => text.name === name).change,
      // Forms of the same weights lie above each other: one label for each is enough.
      ...(name === used[0] && { label: `${form.quantization} ${form.profile} ${form.kv}` }),
    })),
  }));
  const all = series.flatMap(({ points }) => points);
  return plot({
    title: "Perplexity against bytes",
    subtitle: `${model.name}, every form of it against the file in f32; lower and further left is better; ${date}`,
    description: `By how much the perplexity of ${used.join(" and ")} rises, against the weights' megabytes. ${all
      .filter(({ label }) => label)
      .map(({ label, x, y }) => `${label}: ${x.toFixed(1)} MB, ${y.toFixed(2)} %`)
      .join("; ")}.`,
    x: roundAxis(
      "weights, MB",
      all.map(({ x }) => x),
    ),
    y: roundAxis(
      "perplexity above the file's, %",
      all.map(({ y }) => y),
      true,
    ),
    series,
  });
}

/** @param document of `npm run bench -- contexts`. */
export function contextsPicture({ contenders, machine, date }) {
  const series = contenders.map(({ label, rounds }) => ({
    name: label,
    joined: true,
    points: rounds[0].contexts.map(({ positions }, i) => {
      const { median, min, max } = spreadOf(rounds.map((round) => round.contexts[i].decode_tps));
      return { x: positions, y: median, low: min, high: max, label: median.toFixed(0) };
    }),
  }));
  const all = series.flatMap(({ points }) => points);
  const depths = [...new Set(all.map(({ x }) => x))].sort((a, b) => a - b);
  return plot({
    title: "Decode speed against context length",
    subtitle: `${machine.cpu}, ${date}, one thread; medians of rounds, lines from the least to the greatest`,
    description: `Tokens a second by positions in the context. ${series
      .map(
        ({ name, points }) =>
          `${name}: ${points.map(({ x, y }) => `${y.toFixed(0)} at ${x}`).join(", ")}`,
      )
      .join("; ")}.`,
    x: {
      label: "positions in the context",
      from: depths[0],
      to: depths.at(-1),
      ticks: depths,
      log: true,
    },
    y: roundAxis(
      "tokens a second",
      all.map(({ high }) => high),
      true,
    ),
    series,
  });
}

/** What a plan may take of an isolate, and what the isolate has in all: docs/architecture.md. */
const [PLAN_LIMIT, ISOLATE] = [108, 128];

/** @param document of `npm run bench -- isolate`: the memory plans of the forms that fit. */
export function isolatePicture({ fitting, date }) {
  const rows = fitting.forms
    .filter(({ has_importance }) => !has_importance)
    .map(({ ctx, quantization, profile, kv, weight_bytes, plan_bytes }) => ({
      label: `${ctx.toLocaleString("en-US")} positions, ${quantization} ${profile}`,
      kv,
      values: [weight_bytes / MB, (plan_bytes - weight_bytes) / MB],
    }));
  const parts = ["weights", `${rows[0].kv} KV cache, activations, scratch`];
  return stackedBars({
    title: "The memory plan of an isolate",
    subtitle: `SmolLM2-135M-Instruct, what pronk pack --budget 128MB chooses for a context; ${date}`,
    description: `Megabytes of WebAssembly memory, planned before loading. ${rows
      .map(
        ({ label, values }) =>
          `${label}: ${values[0].toFixed(1)} of weights and ${values[1].toFixed(1)} of the rest`,
      )
      .join("; ")}. A plan may take ${PLAN_LIMIT}; JavaScript has the rest of ${ISOLATE}.`,
    parts,
    rows,
    limits: [
      { label: "a plan's limit", value: PLAN_LIMIT },
      { label: "the isolate", value: ISOLATE },
    ],
    unit: "MB",
  });
}

/** Kernels of quantized products; a batch reads its weights once for all its rows. */
const PRODUCT = /^(gemv|gemm)_(q\w+)$/;

/**
 * @param document of `npm run bench -- kernels`: the fastest variant of the newest runtime. Operations by bytes of
 *   weights are those of the limit that reading sets on one row.
 */
export function rooflinePicture({
  machine,
  date,
  runtimes: [{ runtime, peaks, reading, results }],
}) {
  const products = results.filter(
    ({ kernel, variant }) => variant === "dot" && PRODUCT.test(kernel),
  );
  const typeOf = ({ kernel }) => PRODUCT.exec(kernel)[2];
  const perByte = new Map(
    products
      .filter(({ what }) => what.endsWith("MB"))
      .map((result) => [typeOf(result), result.limit / reading.memory]),
  );
  const rowsOf = ({ what }) => Number(/^(\d+) x \d+ x/.exec(what)?.[1] ?? 1);
  const kinds = [
    ["one row, weights in memory", ({ what }) => what.endsWith("MB")],
    ["one row, weights in L2", ({ what }) => what.endsWith("L2")],
    ["batches of 4 and 64 rows", ({ what }) => /^(?:4|64) x 1536/.test(what)],
  ];
  const series = kinds.map(([name, isOne]) => ({
    name,
    points: products.filter(isOne).map((result) => ({
      x: perByte.get(typeOf(result)) * rowsOf(result),
      y: result.best,
      label: `${typeOf(result)}${rowsOf(result) > 1 ? ` x${rowsOf(result)}` : ""}`,
    })),
  }));
  const [from, to] = [1, 400];
  const bottom = 20;
  const roof = (bandwidth, label) => ({
    label,
    from: [Math.max(from, bottom / bandwidth), Math.max(bottom, from * bandwidth)],
    to: [peaks.dot / bandwidth, peaks.dot],
  });
  return plot({
    title: "Roofline of the quantized products",
    subtitle: `${machine.cpu}, one core, ${runtime}; ${date}; the bounds are measured, too`,
    description: `10^9 operations a second against operations by byte of weights. ${series
      .map(
        ({ name, points }) =>
          `${name}: ${points.map(({ label, y }) => `${label} ${y.toFixed(0)}`).join(", ")}`,
      )
      .join(
        "; ",
      )}. Peak ${peaks.dot.toFixed(0)}; reading ${reading.memory.toFixed(0)} GB/s from memory, ${reading.l2.toFixed(0)} from L2.`,
    x: {
      label: "operations by byte of weights",
      from,
      to,
      ticks: [1, 2, 5, 10, 20, 50, 100, 200, 400],
      log: true,
    },
    y: {
      label: "10^9 operations a second",
      from: bottom,
      to: 800,
      ticks: [20, 50, 100, 200, 400, 800],
      log: true,
    },
    series,
    limits: [
      {
        label: `peak, ${peaks.dot.toFixed(0)}`,
        from: [peaks.dot / reading.l2, peaks.dot],
        to: [to, peaks.dot],
      },
      roof(reading.memory, `${reading.memory.toFixed(0)} GB/s, memory`),
      roof(reading.l2, `${reading.l2.toFixed(0)} GB/s, L2`),
    ],
  });
}
