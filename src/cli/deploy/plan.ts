/** The plan of a deployment, as data and as text that a person reads before anything happens. */
import type { MemoryUse } from "../../backends/backend.ts";
import { kernelBudget } from "../budget.ts";
import { type FittedPack, ISOLATE_BYTES, type PreparedPack } from "./prepare-pack.ts";
import { type Cost, type CpuFigures, costOf, FREE_PLAN_CPU_MS, PRICES } from "./prices.ts";
import type { Script } from "./project.ts";

export interface DeployPlan {
  readonly name: string;
  readonly needs: string;
  readonly model: {
    readonly name: string;
    readonly license: string | null;
    readonly layers: number;
    readonly hidden: number;
    readonly vocab: number;
  };
  readonly form: { readonly requested: string; readonly profile: string; readonly kv: string };
  readonly topology: string;
  readonly ctx: number;
  readonly slots: number;
  /** In the order in which they are deployed. */
  readonly scripts: readonly PlannedScript[];
  readonly pack: {
    readonly release: string;
    readonly shards: number;
    readonly objects: number;
    readonly bytes: number;
  };
  readonly target: string;
  readonly cost: Cost;
}

export interface PlannedScript {
  readonly name: string;
  readonly role: string;
  readonly config: string;
  /** Of WebAssembly; what of an isolate is left for it. */
  readonly memory: MemoryUse;
  readonly budget: number;
}

export function planDeployment(
  { manifest, release, settings, plan }: FittedPack,
  scripts: readonly Script[],
  cpu: CpuFigures,
  target: string,
): DeployPlan {
  const objects = new Set([...manifest.shards, manifest.tokenizer].map((o) => o?.sha256)).size;
  const bytes = manifest.weight_bytes + (manifest.tokenizer?.bytes ?? 0);
  const { ctx, slots, kv, topology } = settings;
  const { requested, profile } = manifest.quantization;
  const { num_hidden_layers: layers, hidden_size: hidden, vocab_size: vocab } = plan.config;
  const tokenMs = cpu.outputMs.toFixed(cpu.outputMs < 10 ? 1 : 0);
  return {
    name: scripts.find(({ isFront }) => isFront)?.name ?? scripts[0].name,
    needs:
      `Workers Paid ($${PRICES.plan} a month): the free plan's ${FREE_PLAN_CPU_MS} ms of CPU a request ` +
      `cannot run a model; this one takes ${tokenMs} ms for each token of its answer`,
    model: { name: manifest.name, license: manifest.license, layers, hidden, vocab },
    form: { requested, profile, kv },
    topology,
    ctx,
    slots,
    scripts: scripts.map(({ name, role, config }) => ({
      name,
      role,
      config,
      memory: plan.memory,
      budget: kernelBudget(ISOLATE_BYTES),
    })),
    pack: { release, shards: manifest.shards.length, objects, bytes },
    target,
    cost: costOf(cpu, objects, bytes),
  };
}

/** What is uploaded where no Worker is deployed. */
export function describePack({ manifest, release }: PreparedPack, target: string): string {
  const bytes = manifest.weight_bytes + (manifest.tokenizer?.bytes ?? 0);
  const { requested, profile } = manifest.quantization;
  return (
    `model    ${manifest.name}, ${requested}, ${profile} profile\n` +
    `pack     ${manifest.shards.length} shards, ${megabytes(bytes)} MB, release ${short(release)}\n` +
    `bucket   ${target}\n`
  );
}

export function describePlan(plan: DeployPlan): string {
  const { model, form, scripts, pack, cost, ctx, slots } = plan;
  const sequences = slots === 1 ? "one conversation at a time" : `${slots} at a time`;
  const lines: [string, string][] = [
    ["needs", plan.needs],
    ["model", `${model.name}, licence ${model.license ?? "not given"}`],
    ["", `${model.layers} layers of ${model.hidden}, ${count(model.vocab)} tokens`],
    ["form", `${form.requested}, ${form.profile} profile, ${form.kv} cache`],
    ["context", `${count(ctx)} positions, ${sequences}`],
    ...scripts.flatMap((script, i): [string, string][] => [
      [i === 0 ? "scripts" : "", `${i + 1}. ${script.name}: ${script.role}`],
      ["", memoryLine(script)],
    ]),
    ["pack", `${pack.shards} shards, ${megabytes(pack.bytes)} MB, release ${short(pack.release)}`],
    ["bucket", plan.target],
    ["cost", `1,000 tokens of answer    ${cpuLine(cost.cpu.outputMs, cost.per1000OutputTokens)}`],
    ["", `1,000 tokens of prompt    ${cpuLine(cost.cpu.promptMs, cost.per1000PromptTokens)}`],
    ["", `a start of an isolate     ${cost.readsPerStart} reads of R2, ${dollars(cost.perStart)}`],
    [
      "",
      `the bucket                ${dollars(cost.storagePerMonth)} a month, ${dollars(cost.perUpload)} to fill`,
    ],
    [
      "",
      `the plan's own CPU is enough for ${count(cost.includedOutputTokens)} tokens of answer a month`,
    ],
    ["", `CPU ${cost.cpu.source}`],
    ["", `prices of ${PRICES.date}, beyond what the plan includes`],
  ];
  const width = Math.max(...lines.map(([label]) => label.length)) + 2;
  return lines.map(([label, text]) => `${label.padEnd(width)}${text}\n`).join("");
}

function memoryLine({ memory, budget }: PlannedScript): string {
  const { weights, kv, total } = memory;
  const parts = `weights ${megabytes(weights)}, cache ${megabytes(kv)}, the rest ${megabytes(total - weights - kv)}`;
  return `   fits: ${megabytes(total)} of ${megabytes(budget)} MB (${parts}), beside ${megabytes(ISOLATE_BYTES - budget)} MB of JavaScript`;
}

function cpuLine(tokenMs: number, price: number): string {
  return `${count(Math.round(1000 * tokenMs))} ms of CPU, ${dollars(price)}`;
}

/** Two digits that say something, whatever the size. */
export function dollars(amount: number): string {
  if (amount === 0 || amount >= 0.1) return `$${amount.toFixed(2)}`;
  return `$${amount.toFixed(1 - Math.floor(Math.log10(amount)))}`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** Enough of a checksum to tell releases apart. */
export function short(checksum: string): string {
  return checksum.slice(0, 12);
}
