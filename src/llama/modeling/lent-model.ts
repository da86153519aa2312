/** A model lent to who generates with caches of his own: while one of them is open, the model's other work waits. */
import type { GenerationCache, GenerativeModel } from "../generation/generative-model.ts";

/** Calls `work` in its turn with the model, which is nobody else's until its promise ends. */
export type Lend = (work: (model: GenerativeModel) => Promise<void>) => Promise<void>;

export class LentModel {
  readonly #lend: Lend;
  #turn: Turn | undefined;

  constructor(lend: Lend) {
    this.#lend = lend;
  }

  /** Of the turn that is running, or of one that it waits for. */
  async createCache(rows: number, length: number): Promise<GenerationCache> {
    this.#turn ??= this.#begin();
    const turn = this.#turn;
    turn.open++;
    try {
      const cache = await (await turn.model).createCache(rows, length);
      return closing(cache, () => this.#close(turn));
    } catch (error) {
      this.#close(turn);
      throw error;
    }
  }

  #begin(): Turn {
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const model = new Promise<GenerativeModel>((resolve, reject) => {
      this.#lend((lent) => {
        resolve(lent);
        return ended;
      }).catch(reject);
    });
    return { model, open: 0, end };
  }

  #close(turn: Turn): void {
    if (--turn.open > 0) return;
    if (this.#turn === turn) this.#turn = undefined;
    turn.end();
  }
}

interface Turn {
  readonly model: Promise<GenerativeModel>;
  /** Caches of it. */
  open: number;
  readonly end: () => void;
}

function closing(cache: GenerationCache, close: () => void): GenerationCache {
  let isOpen = true;
  return {
    forward: (inputs, signal) => cache.forward(inputs, signal),
    reorder: (sources) => cache.reorder(sources),
    truncate: (row, length) => cache.truncate(row, length),
    dispose() {
      if (!isOpen) return;
      isOpen = false;
      cache.dispose();
      close();
    },
  };
}
