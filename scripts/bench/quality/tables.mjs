// The document of `npm run bench -- quality` as Markdown.
import { table } from "../tables.mjs";

const percent = (share) => `${share < 0 ? "" : "+"}${(share * 100).toFixed(2)} %`;
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

export function qualityTables(document) {
  const { machine, core, runtime, kernel, date, model, plan_ctx, rounds, texts, forms } = document;
  const where = core === null ? "not pinned" : `pinned to core ${core}`;
  const quality = (row) => [
    mean(row.texts, texts, "choice").toFixed(4),
    mean(row.texts, texts, "report").toFixed(4),
    ...row.texts.map(({ change }) => percent(change)),
  ];
  const titles = [
    "KL, choosing",
    "KL, reporting",
    ...texts.map(({ name, ppl }) => `${name} (${ppl.toFixed(2)})`),
  ];
  const ofFile = forms.filter(({ from }) => from === undefined);
  const ofFloats = forms.filter(({ from }) => from !== undefined);
  return [
    `${model.name} (${model.bytes} bytes); ${texts.map((t) => `${t.name} ${t.tokens}`).join(", ")} tokens; ${date}. ` +
      `Speeds: ${machine.cpu}, ${where}, ${runtime}, ${kernel} kernels, medians of ${rounds} rounds.`,
    table(
      ["`--quant`, `--profile`, `--kv`", ...titles],
      ofFile.map((row) => [`${row.quantization} ${row.profile} ${row.kv}`, ...quality(row)]),
    ),
    table(
      ["the same", "weights, MB", `plan at ${plan_ctx}, MB`, "prefill 512, tok/s", "decode, tok/s"],
      ofFile.map((row) => [
        `${row.quantization} ${row.profile} ${row.kv}`,
        megabytes(row.memory.weights),
        megabytes(row.memory.total),
        row.prefill_tps.median.toFixed(0),
        row.decode_tps.median.toFixed(0),
      ]),
    ),
    table(
      ["from float weights", ...titles, "weights, MB", "packing, s"],
      ofFloats.map((row) => [
        row.name,
        ...quality(row),
        megabytes(row.memory.weights),
        row.packSeconds.toFixed(1),
      ]),
    ),
  ].join("\n\n");
}

/** Mean KL over the texts of this use. */
function mean(found, texts, use) {
  const kls = found.filter((_, i) => texts[i].use === use).map(({ kl }) => kl);
  return kls.reduce((a, b) => a + b, 0) / kls.length;
}
