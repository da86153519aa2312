/** What an adapter does to a step of the plan, as steps: in every row of a batch, of which those that use it are kept. */
import type { LoraAdapter, LoraModule } from "../../../adapters/lora-adapter.ts";
import type { BufferName, MatmulPart, Step } from "../../../model/plan.ts";
import { adaptedWeight, moduleOf } from "../../adapted-tensors.ts";
import { factorName } from "./adapter-image.ts";

type StepOf<Op extends Step["op"]> = Extract<Step, { op: Op }>;

/** A product with A, of the part of so many of the step's, which has `rank` columns. */
export interface LowRows {
  readonly kind: "low";
  readonly place: number;
  readonly rank: number;
}

/** What stands for a step's output where it is replaced: rows as long as the output's. */
export interface ChangedRows {
  readonly kind: "changed";
  readonly of: BufferName;
}

export type RowsName = BufferName | LowRows | ChangedRows;

type Within<S> = Omit<S, "in" | "out"> & { readonly in: RowsName; readonly out: RowsName };

export type AdapterStep =
  | (Omit<StepOf<"embed">, "out"> & { readonly out: RowsName })
  | Within<StepOf<"rmsNorm">>
  | Within<StepOf<"matmul">>
  | {
      /** x *= scale of the row * scaling; 0 in rows that do not use the adapter. */
      readonly op: "scaleRows";
      readonly in: LowRows;
      readonly scaling: number;
    }
  | {
      /** out = in, in rows that use the adapter. */
      readonly op: "replaceRows";
      readonly in: ChangedRows;
      readonly out: BufferName;
      readonly column: number;
      readonly cols: number;
    }
  | {
      /** out += vector * scale of the row * scaling; with `base`, out += vector - base. */
      readonly op: "addVector";
      readonly out: BufferName;
      readonly column: number;
      readonly cols: number;
      readonly vector: string;
      /** Of the model. */
      readonly base?: string;
      readonly scaling: number;
    };

/** In the order in which they run after the step, those of all adapters before the next. */
export interface AdapterPieces {
  /** Its output is added to: what was there before is needed. */
  readonly keeps: ChangedRows | undefined;
  readonly replaced: readonly AdapterStep[];
  readonly biased: readonly AdapterStep[];
  readonly added: readonly AdapterStep[];
}

/** Undefined: the step stays as it is. */
export function adapterPieces(step: Step, adapter: LoraAdapter): AdapterPieces | undefined {
  if (step.op === "embed") return embedPieces(step, adapter);
  if (step.op === "rmsNorm") return normPieces(step, adapter);
  if (step.op === "matmul") return productPieces(step, adapter);
  return undefined;
}

function embedPieces(
  { op, out, weight }: StepOf<"embed">,
  { modules, replaced }: LoraAdapter,
): AdapterPieces | undefined {
  const own = replaced.get(weight);
  const module = moduleOf(weight);
  const factors = modules.get(module);
  if (!own && !factors) return undefined;
  const changed: ChangedRows = { kind: "changed", of: out };
  const added: AdapterStep[] = [];
  if (factors) {
    const low: LowRows = { kind: "low", place: 0, rank: factors.rank };
    added.push(
      { op, out: low, weight: factorName(module, "A") },
      ...addedProduct(module, factors, low, out, { rows: factors.b.shape[0], column: 0 }),
    );
  }
  return {
    keeps: undefined,
    replaced: own
      ? [
          { op, out: changed, weight },
          { op: "replaceRows", in: changed, out, column: 0, cols: own.shape[1] },
        ]
      : [],
    biased: [],
    added,
  };
}

function normPieces(
  { op, in: from, out, weight }: StepOf<"rmsNorm">,
  { replaced }: LoraAdapter,
): AdapterPieces | undefined {
  const own = replaced.get(weight);
  if (!own) return undefined;
  const changed: ChangedRows = { kind: "changed", of: out };
  return {
    keeps: undefined,
    replaced: [
      { op, in: from, out: changed, weight },
      { op: "replaceRows", in: changed, out, column: 0, cols: own.shape[0] },
    ],
    biased: [],
    added: [],
  };
}

function productPieces(
  step: StepOf<"matmul">,
  { modules, replaced }: LoraAdapter,
): AdapterPieces | undefined {
  const { out, parts } = step;
  const changed: ChangedRows = { kind: "changed", of: out };
  const own: MatmulPart[] = [];
  const biased: AdapterStep[] = [];
  const added: AdapterStep[] = [];
  for (const [place, part] of parts.entries()) {
    const { bias, rows, column } = part;
    const weight = adaptedWeight(step, part.weight);
    if (replaced.has(weight)) own.push({ ...part, weight });
    if (bias !== undefined && replaced.has(bias)) {
      // A replaced product gets the base's bias like the base's own: another adapter may replace that.
      biased.push({
        op: "addVector",
        out,
        column,
        cols: rows,
        vector: bias,
        base: bias,
        scaling: 1,
      });
    }
    const module = moduleOf(weight);
    const factors = modules.get(module);
    if (!factors) continue;
    const low: LowRows = { kind: "low", place, rank: factors.rank };
    added.push(
      {
        op: "matmul",
        in: step.in,
        out: low,
        cols: step.cols,
        accumulate: false,
        parts: [{ weight: factorName(module, "A"), rows: factors.rank, column: 0 }],
      },
      ...addedProduct(module, factors, low, out, part),
    );
  }
  if (own.length + biased.length + added.length === 0) return undefined;
  return {
    keeps: own.length > 0 && step.accumulate ? changed : undefined,
    replaced:
      own.length === 0
        ? []
        : [
            { ...step, out: changed, parts: own },
            ...own.map(({ rows: cols, column }): AdapterStep => {
              return { op: "replaceRows", in: changed, out, column, cols };
            }),
          ],
    biased,
    added,
  };
}

/** Onto the output: what `low` has, times B, and B's bias. */
function addedProduct(
  module: string,
  { rank, scaling, bias }: LoraModule,
  low: LowRows,
  out: BufferName,
  { rows, column }: Pick<MatmulPart, "rows" | "column">,
): AdapterStep[] {
  const steps: AdapterStep[] = [
    { op: "scaleRows", in: low, scaling },
    {
      op: "matmul",
      in: low,
      out,
      cols: rank,
      accumulate: true,
      parts: [{ weight: factorName(module, "B"), rows, column }],
    },
  ];
  if (bias) {
    const vector = factorName(module, "bias");
    steps.push({ op: "addVector", out, column, cols: rows, vector, scaling });
  }
  return steps;
}
