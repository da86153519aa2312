/** The report of inspect, for people: what a model is, how large its parts are, where it fits, what to type next. */
import type { MemoryUse } from "../backends/backend.ts";
import type { ModelPlan } from "../engine/load-model.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Colors } from "./colors.ts";
import { type BudgetFit, FIT_SLOTS, type Sizes, type WorkersFit } from "./inspect-facts.ts";
import { visibleText } from "./terminal/visible-text.ts";
import { wrapText } from "./wrap.ts";

/** Of topology's: stages that a request can reach. */
const MAX_ISOLATES = 31;

const MAX_COLUMNS = 100;
const LABEL = 15;
const BAR = 24;

/** Of docs/pack-format.md, in words. */
const FORM_NAMES: Readonly<Record<string, string>> = {
  q4: "4 bits",
  q4m: "4 bits with minimum",
  q4s: "4 bits, small scales",
  q6m: "6 bits with minimum",
  q8: "8 bits",
  vector: "f32",
};

export interface Report {
  readonly planned: ModelPlan;
  readonly tokenizer: Tokenizer | undefined;
  readonly backend: string;
  readonly memory: MemoryUse;
  readonly sizes: Sizes;
  /** Of the tensors as they stand in the file. */
  readonly fileTypes: ReadonlyMap<string, { readonly count: number; readonly bytes: number }>;
  /** Lines of the stages that were asked for. */
  readonly stages: readonly string[];
  readonly isolateBytes: number | undefined;
  readonly budgets: readonly BudgetFit[];
  readonly workers?: WorkersFit;
  /** As it was named; empty for the default. */
  readonly name: string;
}

export function reportText(report: Report, colors: Colors, columns: number): string {
  const width = Math.min(MAX_COLUMNS, columns);
  const { bold } = colors;
  const row = (label: string, text: string): string => {
    const lines = wrapText(visibleText(text), width - LABEL - 3);
    return lines.map((line, i) => `  ${(i === 0 ? label : "").padEnd(LABEL)} ${line}\n`).join("");
  };
  const sections: readonly (readonly [title: string, body: string])[] = [
    [`${report.planned.model.facts.name}`, modelRows(report, row)],
    [
      `Weights, ${megabytes(report.planned.model.weightBytes)} as they are kept`,
      weightRows(report, row, colors),
    ],
    [`Memory, ${megabytes(report.memory.total)} in all`, memoryRows(report, row)],
    ["Fits: positions of each sequence, by how many at a time", fitTable(report.budgets, colors)],
    ["Runs", runRows(report, row)],
    ["Next", nextLines(report, colors)],
  ];
  return sections
    .filter(([, body]) => body !== "")
    .map(([title, body]) => `${bold(title)}\n${body}`)
    .join("\n");
}

type Row = (label: string, text: string) => string;

function modelRows({ planned, tokenizer, sizes }: Report, row: Row): string {
  const { config, model } = planned;
  const { license, chat_template: template } = model.facts;
  const heads = `${config.num_attention_heads} heads, ${config.num_key_value_heads} of keys and values`;
  const count = (sizes.parameters / 1e6).toFixed(sizes.parameters < 1e8 ? 1 : 0);
  return [
    row(
      "architecture",
      `${config.model_type}: ${count} million weights, ${config.num_hidden_layers} ${config.num_hidden_layers === 1 ? "layer" : "layers"} of ${config.hidden_size}, ${heads}`,
    ),
    row("context", `${config.max_position_embeddings} positions`),
    row(
      "tokenizer",
      tokenizer ? describeTokenizer(tokenizer) : `none; ${config.vocab_size} tokens`,
    ),
    row("chat template", describeTemplate(template)),
    row("licence", license ?? "not given"),
  ].join("");
}

/** SentencePiece spells bytes as `<0x0A>`; byte-level BPE has letters for them. */
function describeTokenizer(tokenizer: Tokenizer): string {
  const kind = tokenizer.tokenId("<0x0A>") === undefined ? "byte-level BPE" : "SentencePiece";
  const ends = tokenizer.eogIds.map((id) => tokenizer.tokenText(id)).join(" ");
  const special = tokenizer.specialIds().length;
  return `${tokenizer.vocabSize} tokens, ${kind}, ${special} special${ends === "" ? "" : `; a turn ends with ${ends}`}`;
}

function describeTemplate(template: string | null): string {
  if (template === null) return "none: pronk run --prompt goes on from a text";
  return /\btools\b/.test(template) ? "yes, and it knows tools" : "yes";
}

function weightRows({ planned, sizes, fileTypes }: Report, row: Row, colors: Colors): string {
  const { quantization } = planned.model.facts;
  const most = Math.max(...sizes.kinds.map(({ bytes }) => bytes));
  const isShared =
    planned.config.tie_word_embeddings && !sizes.kinds.some(({ kind }) => kind === "head");
  const bars = sizes.kinds.map(({ kind, bytes, forms }) => {
    const name = kind === "embedding" && isShared ? "embedding, head" : kind;
    const full = Math.max(1, Math.round((bytes / most) * BAR));
    const bar = colors.cyan("█".repeat(full)) + " ".repeat(BAR - full);
    return `  ${name.padEnd(LABEL)} ${bar} ${megabytes(bytes).padStart(9)}  ${forms.map((form) => FORM_NAMES[form] ?? form).join(", ")}\n`;
  });
  const [first = 0] = sizes.layers;
  const least = Math.min(...sizes.layers);
  const largest = Math.max(...sizes.layers);
  const each =
    least === largest
      ? `${megabytes(first)} each`
      : `${megabytes(least)} to ${megabytes(largest)} each`;
  const types = [...fileTypes].map(
    ([type, { count, bytes }]) => `${type} ${megabytes(bytes)} (${count})`,
  );
  return [
    ...bars,
    ...(sizes.layers.length > 0 ? [row("layers", `${sizes.layers.length}, ${each}`)] : []),
    row("form", `${quantization.requested}, ${quantization.profile} profile`),
    row("in the file", `${types.join(", ")} tensors`),
  ].join("");
}

function memoryRows({ planned, memory, backend, isolateBytes, stages }: Report, row: Row): string {
  const { runner, adapterBytes } = planned;
  const isOnGpu = backend.startsWith("webgpu:");
  const kv = isOnGpu && runner.kv !== "f32" ? "f16" : runner.kv;
  const { weights, kv: cache, activations, scratch } = memory;
  const parts = {
    weights,
    cache,
    activations,
    scratch,
    ...(adapterBytes > 0 && { adapters: adapterBytes }),
  };
  const list = Object.entries(parts).map(([part, bytes]) => `${part} ${megabytes(bytes)}`);
  return [
    row("sequences", `${runner.slots} of ${runner.ctx} positions, ${kv} cache`),
    row("parts", list.join(", ")),
    ...(isolateBytes === undefined
      ? []
      : [row("isolate", `${megabytes(isolateBytes)} with JavaScript at its peak`)]),
    ...stages.map((line, i) => row(`stage ${i + 1}`, line)),
  ].join("");
}

function fitTable(budgets: readonly BudgetFit[], { dim, yellow }: Colors): string {
  const head = FIT_SLOTS.map((slots) => `${slots} x`.padStart(8)).join("");
  const lines = budgets.map(({ budget, where, choice, contexts }) => {
    const name = `${memoryName(budget)}${where === "isolate" ? " isolate" : ""}`.padEnd(LABEL);
    if (choice === null) return `  ${name} ${yellow("does not fit")}\n`;
    const cells = FIT_SLOTS.map((slots) => {
      const ctx = contexts.find((one) => one.slots === slots)?.ctx;
      return String(ctx ?? "-").padStart(8);
    });
    const form = `${choice.quantization}, ${choice.profile}, ${choice.kv}`;
    return `  ${name}${cells.join("")}   ${form}\n`;
  });
  return `${dim(`  ${"".padEnd(LABEL)}${head}   form`)}\n${lines.join("")}`;
}

function runRows({ backend, workers }: Report, row: Row): string {
  const lines = [row("backend", backend)];
  if (workers === undefined) return lines.join("");
  const { isolates, ctx } = workers;
  const text =
    isolates === 1
      ? `one isolate of 128 MB, ${ctx} positions`
      : isolates === 0 || isolates > MAX_ISOLATES
        ? `no: ${isolates === 0 ? "a layer alone is too large for an isolate" : `${isolates} isolates would be needed, ${MAX_ISOLATES} can be reached`}; a container has more memory`
        : `${isolates} isolates as stages, ${ctx} positions: room, not speed`;
  return [...lines, row("Workers", text)].join("");
}

function nextLines(
  { name, planned, tokenizer, workers, budgets, isolateBytes }: Report,
  { cyan }: Colors,
): string {
  const words = (...parts: string[]): string => ["pronk", ...parts].filter(Boolean).join(" ");
  const budget = isolateBytes === undefined ? "" : `--budget ${budgets[0].budget / 1e6}MB`;
  if (budget !== "" && budgets[0].choice === null) return "";
  const own = /\s/.test(name) ? JSON.stringify(name) : name;
  const ask =
    planned.model.facts.chat_template === null ? '--prompt "Once upon a time"' : '--chat "Hi"';
  const isReachable =
    workers !== undefined && workers.isolates > 0 && workers.isolates <= MAX_ISOLATES;
  const lines = [
    ...(tokenizer === undefined ? [] : [words("run", own, ask, budget)]),
    words("serve", own, budget),
    ...(isReachable && tokenizer ? [words("deploy", own, "--dry-run")] : []),
  ];
  return lines.map((line) => `  ${cyan(line)}\n`).join("");
}

function memoryName(bytes: number): string {
  return bytes >= 1e9 ? `${bytes / 1e9} GB` : `${Math.floor(bytes / 1e6)} MB`;
}

function megabytes(bytes: number): string {
  return bytes < 1e5 ? `${(bytes / 1e3).toFixed(1)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
