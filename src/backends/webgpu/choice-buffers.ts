/** What tokens are chosen by and where they go, row by row: see wgsl/noise.wgsl. */
import { PANEL_ROWS } from "../../pack/forms.ts";
import type { RowChoice } from "../backend.ts";
import type { Buffers } from "./buffers.ts";

/** (temperature, seed low, seed high, index, place in the output) */
const DRAW_WORDS = 5;
const PLACE = 4;

/** Tokens of a row's output: two runs ahead, the second of which is under way while the first is read. */
export const CHOSEN_ROOM = 64;

/** (score, id) */
export const BEST_BYTES = 8;

export class ChoiceBuffers {
  readonly draws: GPUBuffer;
  /** The best token of each panel of the head, or of each chunk of logits. */
  readonly bests: GPUBuffer;
  readonly bestStride: number;
  /** (rows, CHOSEN_ROOM) tokens. */
  readonly chosen: GPUBuffer;

  constructor(buffers: Buffers, rows: number, outputs: number) {
    this.bestStride = Math.ceil(outputs / PANEL_ROWS);
    this.draws = buffers.storage(rows * DRAW_WORDS * 4, "draws");
    this.bests = buffers.storage(rows * this.bestStride * BEST_BYTES, "bests");
    this.chosen = buffers.storage(rows * CHOSEN_ROOM * 4, "chosen");
  }
}

/** Of no token. */
export const NO_ID = 0xffffffff;

/** The rows' words; their tokens go to the front of their outputs. */
export function drawWords(choices: readonly (RowChoice | undefined)[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(choices.length * DRAW_WORDS);
  const floats = new Float32Array(words.buffer);
  for (const [row, choice] of choices.entries()) {
    const at = row * DRAW_WORDS;
    if (choice?.kind === "largest") floats[at] = choice.temperature ?? 0;
    if (choice?.kind !== "draw") continue;
    floats[at] = choice.temperature;
    words[at + 1] = Number(choice.seed & 0xffffffffn);
    words[at + 2] = Number((choice.seed >> 32n) & 0xffffffffn);
    words[at + 3] = choice.index;
  }
  return words;
}

/** Where the row's next token goes. */
export function placeOf(words: Uint32Array, row: number): number {
  return words[row * DRAW_WORDS + PLACE];
}

/** As `pick` changes them, so many times. */
export function advanceDraws(words: Uint32Array, times: number): void {
  for (let at = 0; at < words.length; at += DRAW_WORDS) {
    words[at + 3] += times;
    words[at + PLACE] = (words[at + PLACE] + times) % CHOSEN_ROOM;
  }
}

/** Whether rows choose by the same, wherever their tokens go. */
export function sameDraws(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((word, i) => i % DRAW_WORDS === PLACE || word === b[i]);
}
