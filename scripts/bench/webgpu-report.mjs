// From the raw figures of `npm run bench -- webgpu` to the tables of docs/webgpu.md.
import { table, withSpread } from "./tables.mjs";

/** The document as Markdown. */
export function webgpuTables({
  machine,
  date,
  runtime,
  adapter,
  software,
  limits,
  rows,
  ...sizes
}) {
  const warning = software ? "A software adapter: its figures mean nothing. " : "";
  const { bandwidth, dispatch_ms, submit_ms } = limits;
  return [
    `${warning}${adapter}; ${machine.cpu}, ${runtime}; ${date}. A kernel that copies moves ${gb(bandwidth)} GB/s, read and ` +
      `written; a dispatch takes ${us(dispatch_ms)} µs, a submit and its end ${us(submit_ms)} µs. Prompts of ` +
      `${sizes.prompt} tokens, then ${sizes.tokens} tokens after a short one; repetitions: ${sizes.reps}.`,
    table(
      [
        "",
        "decode, tok/s",
        "prefill, tok/s",
        "MB a token",
        "dispatches",
        "submits",
        "bytes up",
        "bound, tok/s",
        "of it, %",
      ],
      rows.map((row) => [
        row.model,
        withSpread(row.decode_tps, 1),
        withSpread(row.prefill_tps, 0),
        (row.bytes_read / 1e6).toFixed(0),
        row.dispatches.toFixed(0),
        row.submits.toFixed(2),
        row.uploaded.toFixed(0),
        row.bound_tps.toFixed(0),
        (100 * row.share).toFixed(0),
      ]),
    ),
    rows
      .map(({ model, kernel, load_ms, trial }) => {
        const { gpu, wasm, what } = trial;
        return `${model}: shaders ${kernel}, loaded in ${(load_ms / 1000).toFixed(1)} s; what \`auto\` measures, ${what}: ${gpu.toFixed(2)} ms, by wasm on one thread ${wasm.toFixed(2)} ms.`;
      })
      .join("\n"),
  ].join("\n\n");
}

const gb = (bytes) => (bytes / 1e9).toFixed(0);
const us = (ms) => (1000 * ms).toFixed(1);
