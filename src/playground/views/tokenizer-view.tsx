/** A text as the model sees it: its tokens, with their ids, places, bytes, and which of them are special. */
import type { VNode } from "preact";
import { useCallback, useId, useState } from "preact/hooks";
import type { TokenPiece } from "../../tokenizers/token-pieces.ts";
import { type SharedCharacter, sharedCharacters } from "./piece-groups.ts";
import { TextField } from "./text-field.tsx";
import { hexOf, visibleToken } from "./token-text.ts";
import { useKeptText } from "./use-kept-text.ts";
import { useText } from "./use-text.ts";
import type { ViewProps } from "./view.ts";

const EXAMPLE = `<|im_start|>user
How do you say “grüezi” 🦙?<|im_end|>
`;

/** Rows that a page draws at once without a pause. */
const MAX_ROWS = 400;

export function TokenizerView({ engine }: ViewProps): VNode {
  const [text, setText] = useKeptText("tokenizer", EXAMPLE);
  const make = useCallback((given: string) => engine.tokenize(given), [engine]);
  const { value: pieces, error, pending } = useText(text, make);
  const id = useId();
  return (
    <section class="view" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>Tokenizer</h2>
      <p class="hint">
        A model reads no letters: it reads numbers, one for each token. Special tokens that the text
        spells out are those tokens.
      </p>
      <TextField text={text} rows={4} error={error} onText={setText} />
      <p role="status" class="figures">
        {pieces ? counted(pieces, text) : pending ? "…" : ""}
      </p>
      {pieces && error === undefined && <Pieces pieces={pieces} />}
    </section>
  );
}

function counted(pieces: readonly TokenPiece[], text: string): string {
  const characters = [...text].length;
  const bytes = new TextEncoder().encode(text).length;
  const special = pieces.filter((piece) => piece.special).length;
  const share = pieces.length === 0 ? "" : `, ${(characters / pieces.length).toFixed(1)} a token`;
  return `${count(pieces.length, "token")} (${special} special) for ${count(characters, "character")}${share}, ${count(bytes, "byte")}`;
}

function count(number: number, name: string): string {
  return `${number.toLocaleString("en")} ${name}${number === 1 ? "" : "s"}`;
}

function Pieces({ pieces }: { readonly pieces: readonly TokenPiece[] }): VNode {
  const [limit, setLimit] = useState(MAX_ROWS);
  const shared = sharedCharacters(pieces);
  const shown = pieces.slice(0, limit);
  return (
    <>
      <p class="pieces" aria-hidden="true">
        {shown.map((piece, index) => (
          <span key={index} class={`piece piece-${index % 4}${piece.special ? " special" : ""}`}>
            {chipOf(piece, shared[index])}
          </span>
        ))}
      </p>
      {/* A keyboard has to be able to scroll it. */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reached */}
      <section class="scrolling" aria-label="Tokens of the text" tabIndex={0}>
        <table class="pieces-table">
          <thead>
            <tr>
              <th scope="col">#</th>
              <th scope="col">Token</th>
              <th scope="col">Id</th>
              <th scope="col">Place</th>
              <th scope="col">Bytes</th>
              <th scope="col">Kind</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((piece, index) => (
              <tr key={index}>
                <td>{index}</td>
                <th scope="row">
                  <code>{piece.text}</code>
                </th>
                <td>{piece.id}</td>
                <td>{piece.start === piece.end ? "–" : `${piece.start}–${piece.end}`}</td>
                <td>
                  <code>{hexOf(piece.bytes)}</code>
                </td>
                <td>{kindOf(piece, shared[index])}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {pieces.length > limit && (
        <p>
          The first {limit} of {pieces.length}.{" "}
          <button type="button" onClick={() => setLimit(limit * 4)}>
            Show more
          </button>
        </p>
      )}
    </>
  );
}

function chipOf({ bytes }: TokenPiece, shared: SharedCharacter | undefined): string {
  return shared ? `${shared.text}${shared.part}/${shared.parts}` : visibleToken(bytes);
}

function kindOf({ special }: TokenPiece, shared: SharedCharacter | undefined): string {
  if (special) return "special";
  return shared ? `part ${shared.part} of ${shared.parts} of ${shared.text.trim()}` : "text";
}
