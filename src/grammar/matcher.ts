/** A text on its way through a grammar, token by token. */
import { PronkError } from "../errors.ts";
import type { CompiledGrammar } from "./compile-grammar.ts";
import { enter, Frame, type Position, step } from "./stacks.ts";
import { MaskCredit, type TokenMasks } from "./token-masks.ts";

/** Forced bytes are looked for so far ahead. */
const MAX_FORCED_BYTES = 256;

/** And no further than this costs: what is not found is chosen as any other byte. */
const MAX_FORCED_VISITS = 20_000;

export class GrammarMatcher {
  readonly #masks: TokenMasks;
  readonly #credit = new MaskCredit();
  #position: Position;

  constructor(grammar: CompiledGrammar, masks: TokenMasks) {
    this.#masks = masks;
    this.#position = enter(grammar.start, Frame.bottom());
  }

  /** Whether the text is one of the grammar's as it is. */
  get complete(): boolean {
    return this.#position.complete;
  }

  /** Whether nothing can follow: the text is complete, and no longer one begins with it. */
  get finished(): boolean {
    return this.#position.threads.length === 0;
  }

  /**
   * Sets the bits of the tokens that may come, those that end a text apart; `into` has a bit for each token.
   *
   * @throws PronkError "bad_request" for a grammar that is too ambiguous to be followed.
   */
  addAllowed(into: Uint32Array): void {
    this.#masks.add(this.#position, into, this.#credit);
  }

  /** @throws PronkError "engine_failed" for bytes that the grammar does not have here. */
  accept(bytes: Uint8Array): void {
    let position = this.#position;
    for (const byte of bytes) {
      position = step(position, byte);
      if (position.threads.length === 0 && !position.complete) {
        throw new PronkError("engine_failed", `grammar: byte ${byte} where it cannot come`);
      }
    }
    this.#position = position;
  }

  /** Bytes that come next whatever is chosen; none where the text may end. */
  forcedBytes(): Uint8Array {
    const forced: number[] = [];
    let position = this.#position;
    const possible = new Uint8Array(256);
    let visits = 0;
    while (forced.length < MAX_FORCED_BYTES && visits < MAX_FORCED_VISITS && !position.complete) {
      possible.fill(0);
      for (const { state } of position.threads) state.addBytes(possible);
      const byte = possible.indexOf(1);
      if (byte < 0 || possible.indexOf(1, byte + 1) >= 0) break;
      forced.push(byte);
      position = step(position, byte);
      visits += position.visits;
    }
    return Uint8Array.from(forced);
  }
}
