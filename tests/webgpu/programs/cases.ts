/** What every implementation of WebGPU has to do: bundled to one module, run by each, no test runner needed. */
import type { Batch, KvType } from "../../../src/backends/backend.ts";
import type { GpuProvider } from "../../../src/backends/webgpu/gpu.ts";
import { planLlama } from "../../../src/model/plan.ts";
import type { MatrixForm } from "../../../src/pack/forms.ts";
import {
  attentionCases,
  formsOf,
  opError,
  relativeError,
  SIZES,
} from "../../conformance/op-errors.ts";
import { type OpCase, opCases } from "../../conformance/op-plans.ts";
import { type CreateRunner, reference, webgpu } from "../../conformance/runners.ts";
import { smallLlama } from "../../support/small-llama.ts";
import { openCheckedGpu } from "../checked-gpu.ts";

export interface CasesSetting {
  /** A part of the adapter's name. */
  readonly adapter: string;
  /** Names of sizes. */
  readonly sizes: readonly string[];
  /** Forms of the weights of whole models. */
  readonly models: readonly MatrixForm[];
}

export interface OpResult {
  readonly size: string;
  readonly form: MatrixForm;
  readonly kv: KvType;
  readonly title: string;
  /** As a share of the reference's root mean square; the largest number where it failed. */
  readonly error: number;
  readonly failure?: string;
}

/** A whole model: a prompt, one token more by what decodes alone, and tokens that are run ahead. */
export interface ModelResult {
  readonly form: MatrixForm;
  /** Of the logits behind the prompt and behind the token: as a share of the reference's root mean square. */
  readonly errors: readonly number[];
  readonly chosen: readonly number[];
  readonly expected: readonly number[];
}

export interface CasesAnswer {
  readonly adapter: string;
  readonly models: readonly ModelResult[];
  readonly ops: readonly OpResult[];
}

export async function runCases(provider: GpuProvider, setting: CasesSetting): Promise<CasesAnswer> {
  const gpu = await openCheckedGpu(provider, setting.adapter);
  const create = webgpu(gpu);
  const ops: OpResult[] = [];
  const run = async (size: string, opCase: OpCase, form: MatrixForm, kv: KvType): Promise<void> => {
    const what = { size, form, kv, title: opCase.title };
    try {
      const error = await opError(create, opCase, form, kv);
      // Neither infinity nor NaN, which JSON does not have.
      ops.push({ ...what, error: Number.isFinite(error) ? error : Number.MAX_VALUE });
    } catch (error) {
      ops.push({ ...what, error: Number.MAX_VALUE, failure: String(error) });
    }
  };
  for (const size of setting.sizes) {
    const sizes = SIZES[size];
    for (const form of formsOf(sizes)) {
      for (const opCase of opCases(sizes)) await run(size, opCase, form, "f32");
    }
    for (const opCase of attentionCases(sizes)) await run(size, opCase, "f32", "int16");
  }
  const models: ModelResult[] = [];
  for (const form of setting.models) models.push(await modelResult(create, form));
  gpu.device.destroy();
  return { adapter: gpu.name, ops, models };
}

const PROMPT = [5, 17, 3, 88, 41, 9, 60];
const AHEAD = 4;

async function modelResult(create: CreateRunner, form: MatrixForm): Promise<ModelResult> {
  const { config, entries } = smallLlama(form);
  const plan = planLlama(config);
  const options = { ctx: 64, slots: 1, maxRows: 8, maxLogits: 1, kv: "f32", ahead: AHEAD } as const;
  const runners = [await create(plan, entries, options), await reference(plan, entries, options)];
  const batches: Batch[] = [
    {
      ids: PROMPT,
      spans: [{ slot: 0, start: 0, count: PROMPT.length }],
      logitsRows: [PROMPT.length - 1],
    },
    { ids: [23], spans: [{ slot: 0, start: PROMPT.length, count: 1 }], logitsRows: [0] },
  ];
  const errors: number[] = [];
  for (const batch of batches) {
    for (const runner of runners) await runner.forward(batch);
    const [found, expected] = runners.map((runner) => [Array.from(runner.logits(0))]);
    errors.push(relativeError(found, expected));
  }
  const batch: Batch = {
    ids: [42],
    spans: [{ slot: 0, start: PROMPT.length + 1, count: 1 }],
    logitsRows: [0],
    choices: [{ kind: "argmax" }],
    ahead: AHEAD,
  };
  const [chosen, expected] = await Promise.all(
    runners.map(async (runner) => {
      await runner.forward(batch);
      return Array.from(runner.chooser!.chosen(0));
    }),
  );
  for (const runner of runners) runner.dispose();
  return { form, errors, chosen, expected };
}

/** Of a page. */
export function answer(setting: CasesSetting): Promise<CasesAnswer> {
  return runCases(navigator.gpu, setting);
}
