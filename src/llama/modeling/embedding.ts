/** The table of token embeddings, or of a language model's head, as `getInputEmbeddings` and `getOutputEmbeddings` give it. */
import { PronkError } from "../../errors.ts";
import { type IntegerRows, integerLists } from "../integer-lists.ts";
import type { ModelCore } from "./model-core.ts";
import { readRow, tableOf } from "./table-rows.ts";
import { integerRows, type Tensor, zeros } from "./tensor.ts";

/** A view of a model's table: it shows what the model has when it is asked. */
export class Embedding {
  readonly #core: ModelCore;
  readonly #name: string;
  readonly #size: () => { readonly rows: number; readonly cols: number };
  readonly #padding: () => number | null;

  /** For the model. @param name the weight's */
  constructor(
    core: ModelCore,
    name: string,
    size: () => { readonly rows: number; readonly cols: number },
    padding: () => number | null,
  ) {
    this.#core = core;
    this.#name = name;
    this.#size = size;
    this.#padding = padding;
  }

  get num_embeddings(): number {
    return this.#size().rows;
  }

  get embedding_dim(): number {
    return this.#size().cols;
  }

  /** config.pad_token_id, while there is such a row. */
  get padding_idx(): number | null {
    const id = this.#padding();
    return id !== null && id < this.num_embeddings ? id : null;
  }

  /** A copy of all rows: (num_embeddings, embedding_dim). */
  weight(): Promise<Tensor> {
    return this.#rows(this.num_embeddings, (row) => row, [this.num_embeddings]);
  }

  /**
   * The rows of ids: (batch, length, embedding_dim), as `inputs_embeds` takes them.
   *
   * @throws PronkError "bad_request" for an id without a row.
   */
  async forward(input_ids: IntegerRows): Promise<Tensor> {
    const rows = integerRows(integerLists(input_ids, "input_ids"), "input_ids");
    const ids = rows.flat();
    const wrong = ids.find((id) => id < 0 || id >= this.num_embeddings);
    if (wrong !== undefined) {
      throw new PronkError("bad_request", `input_ids: ${wrong} is outside the vocabulary`, {
        param: "input_ids",
      });
    }
    return this.#rows(ids.length, (i) => ids[i], [rows.length, rows[0]?.length ?? 0]);
  }

  #rows(count: number, rowOf: (i: number) => number, dims: readonly number[]): Promise<Tensor> {
    const width = this.embedding_dim;
    return this.#core.inTurn(({ runner, tensors }) => {
      const table = tableOf(tensors, this.#name);
      const out = zeros(...dims, width);
      for (let i = 0; i < count; i++) {
        const into = out.data.subarray(i * width, (i + 1) * width);
        readRow(runner.weights, table, rowOf(i), into);
      }
      return out;
    });
  }
}
