// From the raw figures of `npm run bench -- isolate` to its table, and to the README's sentence.
import { table, withSpread } from "./tables.mjs";

const ROWS = [
  ["read", "weights read"],
  ["hash", "their SHA-256"],
  ["prefill", "the prompt of 37 tokens"],
  ["kernels", "kernels tried and timed"],
  ["prepare", "manifest, memory, tokenizer"],
  ["rest", "the rest: on Node its own start"],
  ["total", "to the first token"],
];

/** The document as Markdown. */
export function isolateTables({ machine, date, rounds, script, fitting, ...document }) {
  const { workerd, node, node_version, workerd_version } = document;
  return [
    table(
      ["phase, ms", `workerd ${workerd_version}, from R2`, `Node ${node_version}, from files`],
      ROWS.map(([name, label]) => [label, withSpread(workerd[name], 0), withSpread(node[name], 0)]),
    ),
    "",
    `${machine.cpu}, ${machine.cores} cores; ${date}. Medians of ${rounds}, least and most in brackets: the first request of a Worker that has loaded ` +
      "nothing, with a local R2 in its process; a process of Node from its start. The small form of SmolLM2-135M-Instruct, int8 cache, 1,024 positions.",
    "",
    `The Worker's script: ${kilobytes(script)} KB gzipped, without the kernels; its start takes ${withSpread(script.start_cpu_ms, 0)} ms of CPU.`,
    ...(fitting ? ["", formsTable(fitting)] : []),
  ].join("\n");
}

/** What fits an isolate, what it takes and what it loses. */
function formsTable({ source, forms }) {
  const texts = Object.entries(source);
  const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
  const change = (found, { ppl }) => {
    const percent = (found.ppl / ppl - 1) * 100;
    return `${percent < 0 ? "" : "+"}${percent.toFixed(2)} %`;
  };
  return table(
    [
      "`--budget 128MB --ctx`",
      "is",
      "weights, MB",
      "plan, MB",
      ...texts.map(([name, { ppl }]) => `${name} (${ppl.toFixed(2)})`),
      "decode, tok/s",
    ],
    forms.map((form) => [
      `${form.ctx}${form.has_importance ? ", `--importance`" : ""}`,
      `${form.quantization} ${form.profile} ${form.kv}`,
      megabytes(form.weight_bytes),
      megabytes(form.plan_bytes),
      ...texts.map(([name, of]) => change(form.texts[name], of)),
      withSpread(form.decode_tps, 0),
    ]),
  );
}

const kilobytes = ({ gzip_bytes }) => (gzip_bytes / 1000).toFixed(0);

export function isolateSentence({ workerd, node, script }) {
  const ms = ({ median }) => `${median.toFixed(0)} ms`;
  const told = ({ total, read, hash, prefill }) =>
    `${ms(total)} (read ${ms(read)}, hash ${ms(hash)}, prompt ${ms(prefill)})`;
  return (
    `From R2 to the first token in a fresh isolate of a local workerd: ${told(workerd)}; a process of Node, from files: ${told(node)}. ` +
    `The Worker's script is ${kilobytes(script)} KB gzipped and starts in ${ms(script.start_cpu_ms)} of CPU.`
  );
}
