/** When a row is complete: Hugging Face's generation/stopping_criteria.py. */
import type { ScoreRows, TokenRows } from "../../generate/logits-processors/logits-processor.ts";

export interface StoppingCriteria {
  /**
   * One answer a row of `input_ids`: whether it ends with its last id. `scores` are those of all steps so far,
   * empty unless they are asked for.
   */
  isDone(input_ids: TokenRows, scores: readonly ScoreRows[]): readonly boolean[];
}

/** A row ends when any of the criteria says so. */
export class StoppingCriteriaList implements StoppingCriteria, Iterable<StoppingCriteria> {
  readonly #criteria: StoppingCriteria[];

  constructor(criteria: Iterable<StoppingCriteria> = []) {
    this.#criteria = [...criteria];
  }

  get length(): number {
    return this.#criteria.length;
  }

  /** Of the first MaxLengthCriteria. */
  get max_length(): number | undefined {
    return this.#criteria.find((one) => one instanceof MaxLengthCriteria)?.max_length;
  }

  push(criteria: StoppingCriteria): void {
    this.#criteria.push(criteria);
  }

  [Symbol.iterator](): IterableIterator<StoppingCriteria> {
    return this.#criteria[Symbol.iterator]();
  }

  isDone(input_ids: TokenRows, scores: readonly ScoreRows[]): boolean[] {
    const done = new Array<boolean>(input_ids.length).fill(false);
    for (const criteria of this.#criteria) {
      const own = criteria.isDone(input_ids, scores);
      for (let row = 0; row < done.length; row++) done[row] ||= own[row];
    }
    return done;
  }
}

/** All rows end at `max_length` ids, prompt included. */
export class MaxLengthCriteria implements StoppingCriteria {
  readonly max_length: number;

  constructor(max_length: number) {
    this.max_length = max_length;
  }

  isDone(input_ids: TokenRows): boolean[] {
    return input_ids.map((ids) => ids.length >= this.max_length);
  }
}

/** All rows end `max_time` seconds after `initial_timestamp`, which is now by default. */
export class MaxTimeCriteria implements StoppingCriteria {
  readonly max_time: number;
  readonly initial_timestamp: number;
  readonly #clock: () => number;

  /** @param clock seconds; stands still on deployed Workers while the model computes. */
  constructor(
    max_time: number,
    initial_timestamp?: number,
    clock: () => number = () => Date.now() / 1000,
  ) {
    this.max_time = max_time;
    this.#clock = clock;
    this.initial_timestamp = initial_timestamp ?? clock();
  }

  isDone(input_ids: TokenRows): boolean[] {
    const late = this.#clock() - this.initial_timestamp > this.max_time;
    return input_ids.map(() => late);
  }
}

/** A row ends with one of these ids. */
export class EosTokenCriteria implements StoppingCriteria {
  readonly eos_token_id: readonly number[];

  constructor(eos_token_id: number | readonly number[]) {
    this.eos_token_id = [eos_token_id].flat();
  }

  isDone(input_ids: TokenRows): boolean[] {
    return input_ids.map((ids) => this.eos_token_id.includes(ids[ids.length - 1]));
  }
}

/** What StopStringCriteria needs of a tokenizer; ours has it. */
export interface TextOfTokens {
  decode(ids: readonly number[]): string;
}

/**
 * A row ends when its text has a stop string that ends within its last token. That token stays, and
 * what of its text is behind the stop string.
 */
export class StopStringCriteria implements StoppingCriteria {
  readonly stop_strings: readonly string[];
  readonly #tokenizer: TextOfTokens;
  /** Ids at the end of a row that can hold a stop string: a byte each, and one before them. */
  readonly #window: number;

  constructor(tokenizer: TextOfTokens, stop_strings: string | readonly string[]) {
    this.#tokenizer = tokenizer;
    this.stop_strings = [stop_strings].flat();
    const bytes = this.stop_strings.map((text) => new TextEncoder().encode(text).length);
    this.#window = Math.max(0, ...bytes) + 1;
  }

  isDone(input_ids: TokenRows): boolean[] {
    return input_ids.map((ids) => {
      const tail = ids.slice(-this.#window);
      const text = this.#tokenizer.decode(tail);
      const before = this.#tokenizer.decode(tail.slice(0, -1));
      // Bytes of an incomplete character read otherwise once it is complete.
      let known = 0;
      while (known < before.length && before[known] === text[known]) known++;
      return this.stop_strings.some((stop) => {
        const at = text.indexOf(stop, Math.max(0, known - stop.length + 1));
        return stop !== "" && at >= 0;
      });
    });
  }
}
