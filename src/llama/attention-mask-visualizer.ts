/**
 * Which token attends to which, as text or SVG.
 *
 * Source: transformers/utils/attention_visualizer.py (4.57), whose output for Llama this is.
 */
import { PronkError } from "../errors.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { attentionMaskSvg } from "./attention-mask-svg.ts";
import { pythonCenter, pythonLength, pythonLjust, pythonRepr } from "./python-text.ts";

/** A loaded engine, or a tokenizer with the name to show. */
export type VisualizerSource =
  | {
      readonly tokenizer: Pick<Tokenizer, "encode" | "tokenText">;
      readonly info: { readonly id: string };
    }
  | { readonly tokenizer: Pick<Tokenizer, "encode" | "tokenText">; readonly name: string };

export interface VisualizeOptions {
  /** A value a token: 0 is padding, which nothing attends to. Default: all 1. */
  readonly attention_mask?: readonly number[];
}

/** Tokens and the (tokens, tokens) mask over them: row i attends to column j. */
export interface AttentionGrid {
  readonly tokens: readonly string[];
  readonly mask: readonly (readonly boolean[])[];
}

const GREEN = "\u001b[92m";
const YELLOW = "\u001b[93m";
const BOLD = "\u001b[1m";
const RESET = "\u001b[0m";
const BLACK_SQUARE = "■";
const WHITE_SQUARE = "⬚";

/** transformers makes the box as wide as this text, twice. */
const BOX_TEXT =
  "Attention visualization for llama | <class 'transformers.models.llama.modeling_llama.LlamaModel'>";

/** The picture grows with its square. */
const MAX_TOKENS = 1024;

export class AttentionMaskVisualizer {
  readonly #tokenizer: Pick<Tokenizer, "encode" | "tokenText">;
  readonly #name: string;

  constructor(source: VisualizerSource) {
    this.#tokenizer = source.tokenizer;
    this.#name = "info" in source ? source.info.id : source.name;
  }

  /**
   * The text that transformers prints, with its colours as ANSI sequences.
   *
   * @throws PronkError "bad_request" when the text is too long, or the mask is not one of its tokens.
   */
  visualize(text: string, options: VisualizeOptions = {}): string {
    const { tokens, mask } = this.grid(text, options);
    const border = "##".repeat(BOX_TEXT.length + 4);
    const title = `  Attention visualization for ${BOLD}llama:${this.#name}${RESET} LlamaModel`;
    const head = ["", border, `##${pythonCenter(title, border.length)}    ##`, border];
    return `${[...head, ...matrixLines(tokens, mask), border].join("\n")}\n`;
  }

  /** The same as a drawing: a square where a token attends, the diagonal in green. @throws as visualize. */
  svg(text: string, options: VisualizeOptions = {}): string {
    return attentionMaskSvg(this.#name, this.grid(text, options));
  }

  /** The tokens, without special ones, and the mask. @throws as visualize. */
  grid(text: string, { attention_mask }: VisualizeOptions = {}): AttentionGrid {
    const ids = this.#tokenizer.encode(text, { addSpecialTokens: false, parseSpecial: true });
    const bad = (why: string): PronkError =>
      new PronkError("bad_request", `attention mask: ${why}`);
    if (ids.length === 0) throw bad("a text without tokens");
    if (ids.length > MAX_TOKENS) throw bad(`${ids.length} tokens, more than ${MAX_TOKENS}`);
    if (attention_mask !== undefined && attention_mask.length !== ids.length) {
      throw bad(`${attention_mask.length} values for ${ids.length} tokens`);
    }
    return {
      tokens: ids.map((id) => this.#tokenizer.tokenText(id)),
      mask: ids.map((_, i) => ids.map((_, j) => j <= i && attention_mask?.[j] !== 0)),
    };
  }
}

function matrixLines(tokens: readonly string[], mask: AttentionGrid["mask"]): string[] {
  const names = tokens.map(pythonRepr);
  const width = Math.max(...names.map(pythonLength));
  // transformers measures a row that it does not print, colours included.
  const first = tokens.map((_, j) =>
    mask[0][j]
      ? `${YELLOW}${BLACK_SQUARE}${RESET}`
      : j === 0
        ? `${GREEN}${BLACK_SQUARE}${RESET}`
        : WHITE_SQUARE,
  );
  const titleWidth = pythonLength(first.join(" ")) >> 1;
  const square = `${BLACK_SQUARE}${RESET}`;
  const legend = ` ${GREEN}${square}: i == j (diagonal)   ${YELLOW}${square}: token_type_ids`;
  const title = " ".repeat(width + 5) + "Attention Matrix".padEnd(titleWidth);
  // An empty line for each digit of the number of tokens: the header of sliding windows.
  const header = Array.from(String(tokens.length), () => "");
  const rows = names.map((name, i) => {
    const cells = tokens.map((_, j) => cell(i, j, mask[i][j]));
    return `${pythonLjust(name, width)}: ${String(i).padStart(2)} ${cells.join(" ")}    |    `;
  });
  return [legend, title, ...header, ...rows];
}

function cell(i: number, j: number, attends: boolean): string {
  if (i === j) return `${GREEN}${BLACK_SQUARE}${RESET}`;
  return attends ? BLACK_SQUARE : WHITE_SQUARE;
}
