/** The plan of a deployment, as data and as text that a person reads before anything happens. */
import type { MemoryUse } from "../../backends/backend.ts";
import { kernelBudget } from "../budget.ts";
import type { FittedPack, PreparedPack } from "./prepare-pack.ts";
import {
  type Cost,
  type CpuFigures,
  costOf,
  FREE_PLAN_CPU_MS,
  MANIFEST_READS,
  PRICES,
} from "./prices.ts";
import type { Script } from "./project.ts";
import { ISOLATE_BYTES } from "./topology.ts";

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
  /** What of the model it has; null: nothing. */
  readonly holds: string | null;
  /** Of WebAssembly. */
  readonly memory: MemoryUse | null;
  /** Beside it: while it loads, or, in a front, for states and logits. */
  readonly other_bytes: number;
  /** What of an isolate WebAssembly and those may take; the rest is JavaScript's. */
  readonly budget: number;
}

export function planDeployment(
  { manifest, release, settings, config, isolates, frontBytes = 0 }: FittedPack,
  scripts: readonly Script[],
  cpu: CpuFigures,
  target: string,
): DeployPlan {
  const objects = new Set([...manifest.shards, manifest.tokenizer].map((o) => o?.sha256)).size;
  const bytes = manifest.weight_bytes + (manifest.tokenizer?.bytes ?? 0);
  const { ctx, slots, kv, topology } = settings;
  const { requested, profile } = manifest.quantization;
  const { num_hidden_layers: layers, hidden_size: hidden, vocab_size: vocab } = config;
  // Every isolate reads the manifest, its size and its bytes; stages share shards at their borders.
  const readsPerStart =
    isolates.reduce((sum, isolate) => sum + isolate.objects, 0) +
    (frontBytes === undefined ? 0 : 1) +
    MANIFEST_READS * scripts.length;
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
    scripts: scripts.map(({ name, role, part }) => {
      const isolate = part === undefined ? undefined : isolates[part];
      return {
        name,
        role,
        holds: isolate?.holds ?? null,
        memory: isolate?.memory ?? null,
        other_bytes: isolate ? isolate.spareBytes : (frontBytes ?? 0),
        budget: kernelBudget(ISOLATE_BYTES),
      };
    }),
    pack: { release, shards: manifest.shards.length, objects, bytes },
    target,
    cost: costOf(cpu, { objects, bytes, readsPerStart, engines: settings.engines ?? 0 }),
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
  const { model, form, pack, cost, ctx, slots } = plan;
  const sequences = slots === 1 ? "one conversation at a time" : `${slots} at a time`;
  const lines: [string, string][] = [
    ["needs", plan.needs],
    ["model", `${model.name}, licence ${model.license ?? "not given"}`],
    ["", `${model.layers} layers of ${model.hidden}, ${count(model.vocab)} tokens`],
    ["form", `${form.requested}, ${form.profile} profile, ${form.kv} cache`],
    ["context", `${count(ctx)} positions, ${sequences}`],
    ...fitLines(plan),
    ["pack", `${pack.shards} shards, ${megabytes(pack.bytes)} MB, release ${short(pack.release)}`],
    ["bucket", plan.target],
    ["cost", `1,000 tokens of answer    ${cpuLine(cost.cpu.outputMs, cost.per1000OutputTokens)}`],
    ["", `1,000 tokens of prompt    ${cpuLine(cost.cpu.promptMs, cost.per1000PromptTokens)}`],
    ["", `a cold start              ${cost.readsPerStart} reads of R2, ${dollars(cost.perStart)}`],
    [
      "",
      `the bucket                ${dollars(cost.storagePerMonth)} a month, ${dollars(cost.perUpload)} to fill`,
    ],
    ...hourOfObjects(cost),
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

function hourOfObjects({ objectsPerHour }: Cost): [string, string][] {
  if (objectsPerHour === null) return [];
  return [["", `an hour of awake objects  ${dollars(objectsPerHour)}`]];
}

/** Whether it fits, and each isolate with what it has. */
function fitLines({ scripts, topology }: DeployPlan): [string, string][] {
  const [{ budget }] = scripts;
  const room = `${megabytes(budget)} MB, beside ${megabytes(ISOLATE_BYTES - budget)} MB of JavaScript`;
  const weights = scripts.filter(({ memory }) => memory !== null);
  const largest = Math.max(...weights.map(used));
  const lines: [string, string][] =
    topology === "stages"
      ? [
          [
            "fits",
            `${weights.length} isolates, a stage of the model in each: at most ${megabytes(largest)} of ${room}`,
          ],
          ["", "a token goes through all of them: more memory, not more speed"],
        ]
      : [
          ["fits", `one isolate: ${megabytes(largest)} of ${room}`],
          ["", `(${partsOf(weights[0].memory)})`],
        ];
  const names = Math.max(...scripts.map(({ name }) => name.length));
  const digits = String(scripts.length).length;
  return [
    ...lines,
    ...scripts.map((script, i): [string, string] => {
      const number = `${String(i + 1).padStart(digits)}. ${script.name.padEnd(names)}`;
      const size = `${megabytes(used(script)).padStart(6)} MB`;
      const what = topology === "stages" ? (script.holds ?? script.role) : script.role;
      return [i === 0 ? "scripts" : "", `${number} ${size}  ${what}`];
    }),
  ];
}

function partsOf(memory: MemoryUse | null): string {
  const { weights, kv, total } = memory ?? { weights: 0, kv: 0, total: 0 };
  return `weights ${megabytes(weights)}, cache ${megabytes(kv)}, the rest ${megabytes(total - weights - kv)}`;
}

function used({ memory, other_bytes }: PlannedScript): number {
  return (memory?.total ?? 0) + other_bytes;
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
