/**
 * Items to rows of the model, rows to batches, and back: each item may have several rows, a batch may have
 * rows of several items. Nothing is prepared before it is needed.
 *
 * Source: PipelineIterator and PipelinePackIterator, pt_utils.py in transformers 4.57.
 */
import { PronkError, throwIfAborted } from "../../errors.ts";
import type { PreTrainedTokenizerBase } from "../tokenizer/pretrained-tokenizer-base.ts";
import type { PipelineParts } from "./pipeline-object.ts";

export interface RunOptions {
  /** Rows that the model runs at once. Default 1. */
  readonly batch_size?: number;
  /** Looked at between batches, and in `generate` between tokens. */
  readonly signal?: AbortSignal;
  /** Without effect: inputs are prepared as they are needed, by no other workers. */
  readonly num_workers?: number;
}

export interface Stages<Item, Row, Raw, Output> {
  prepare(item: Item, index: number): readonly Row[];
  /** One result a row. */
  forward(rows: readonly Row[]): Promise<readonly Raw[]>;
  finish(item: Item, rows: readonly Row[], raws: readonly Raw[]): Output;
}

interface Started<Item, Row, Raw> {
  readonly item: Item;
  readonly rows: readonly Row[];
  readonly raws: Raw[];
}

/**
 * Outputs in the order of the items.
 *
 * @throws PronkError "bad_request" for items that are no list, a batch_size that is none, or several rows without a
 *   token for padding; "aborted"; what the stages throw.
 */
export async function* runStages<Item, Row, Raw, Output>(
  { task, tokenizer, yieldTask }: Omit<PipelineParts<unknown>, "model">,
  items: Iterable<Item> | AsyncIterable<Item>,
  stages: Stages<Item, Row, Raw, Output>,
  { batch_size = 1, signal }: RunOptions,
): AsyncGenerator<Output, void, undefined> {
  checkBatchSize(batch_size, tokenizer);
  checkItems(task, items);
  throwIfAborted(signal);
  const started: Started<Item, Row, Raw>[] = [];
  let batch: { readonly row: Row; readonly of: Started<Item, Row, Raw> }[] = [];
  const run = async (): Promise<void> => {
    if (batch.length === 0) return;
    await yieldTask?.();
    throwIfAborted(signal);
    const raws = await stages.forward(batch.map(({ row }) => row));
    for (const [i, { of }] of batch.entries()) of.raws.push(raws[i]!);
    batch = [];
  };
  let index = 0;
  for await (const item of items) {
    const of: Started<Item, Row, Raw> = { item, rows: stages.prepare(item, index++), raws: [] };
    started.push(of);
    for (const row of of.rows) {
      batch.push({ row, of });
      if (batch.length === batch_size) await run();
    }
    while (started[0] && started[0].raws.length === started[0].rows.length) {
      const { item: done, rows, raws } = started.shift()!;
      yield stages.finish(done, rows, raws);
    }
  }
  await run();
  for (const { item, rows, raws } of started) yield stages.finish(item, rows, raws);
}

export async function collect<Output>(outputs: AsyncIterable<Output>): Promise<Output[]> {
  const list: Output[] = [];
  for await (const output of outputs) list.push(output);
  return list;
}

function checkItems(task: string, items: unknown): void {
  const isList = typeof items === "object" && items !== null;
  if (isList && (Symbol.iterator in items || Symbol.asyncIterator in items)) return;
  throw new PronkError("bad_request", `${task}: inputs: neither an input nor a list of them`, {
    param: "inputs",
  });
}

function checkBatchSize(batchSize: number, tokenizer: PreTrainedTokenizerBase): void {
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new PronkError("bad_request", `pipeline: batch_size: ${batchSize} is not 1 or more`, {
      param: "batch_size",
    });
  }
  if (batchSize > 1 && tokenizer.pad_token_id === null) {
    throw new PronkError(
      "bad_request",
      "Pipeline with tokenizer without pad_token cannot do batching. You can try to set it with `pipe.tokenizer.pad_token = pipe.tokenizer.eos_token`.",
      { param: "batch_size" },
    );
  }
}
