/**
 * An answer token by token: coloured by how likely each was, with what the model would have said
 * instead. By mouse, by touch, by arrow keys, and for ears: a list with one stop of the tab key.
 */
import type { VNode } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import type { TokenEntry } from "../../server/chat-run.ts";
import { LEVEL_NAMES, percent, surpriseLevel } from "./probability.ts";
import { shownToken, spokenToken, visibleToken } from "./token-text.ts";

export interface TokenViewProps {
  /** Of the answer, asked for with `logprobs` and some `top_logprobs`. */
  readonly tokens: readonly TokenEntry[];
  /** What the list is named for who cannot see it. */
  readonly label?: string;
}

/** Alternatives that a token's name says; the panel has all of them. */
const SPOKEN_ALTERNATIVES = 2;

export function TokenView({ tokens, label = "Tokens of the answer" }: TokenViewProps): VNode {
  const [chosen, choose] = useState(0);
  const [hovered, hover] = useState<number | undefined>(undefined);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const current = Math.min(chosen, Math.max(tokens.length - 1, 0));
  const shown = tokens[hovered ?? current];

  const go = (to: number): void => {
    const index = Math.max(0, Math.min(tokens.length - 1, to));
    choose(index);
    hover(undefined);
    (list.current?.children[index] as HTMLElement | undefined)?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const to = targetOf(event.key, current, list.current);
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    go(to);
  };

  if (tokens.length === 0) return <p class="hint">No tokens: the answer is empty.</p>;
  return (
    <div class="token-view">
      <Legend />
      <div
        ref={list}
        class="token-list"
        role="listbox"
        aria-label={label}
        aria-orientation="horizontal"
        onKeyDown={onKeyDown}
        onMouseLeave={() => hover(undefined)}
      >
        {tokens.map((token, index) => (
          <Token
            key={index}
            id={`${id}-${index}`}
            token={token}
            isChosen={index === current}
            onChoose={() => choose(index)}
            onHover={() => hover(index)}
          />
        ))}
      </div>
      {shown && <TokenPanel token={shown} place={(hovered ?? current) + 1} of={tokens.length} />}
    </div>
  );
}

interface TokenProps {
  readonly id: string;
  readonly token: TokenEntry;
  readonly isChosen: boolean;
  readonly onChoose: () => void;
  readonly onHover: () => void;
}

function Token({ id, token, isChosen, onChoose, onHover }: TokenProps): VNode {
  const { text, isPartial } = shownToken(token.bytes);
  const kinds = [
    "token",
    `surprise-${surpriseLevel(token.logprob)}`,
    isPartial && "partial",
    !isLikeliest(token) && "not-first",
  ];
  return (
    <span
      id={id}
      role="option"
      class={kinds.filter(Boolean).join(" ")}
      aria-selected={isChosen}
      aria-label={spoken(token)}
      tabIndex={isChosen ? 0 : -1}
      onFocus={onChoose}
      onClick={onChoose}
      onKeyDown={undefined}
      onMouseEnter={onHover}
    >
      {text === "" ? "∅" : withLineEnds(text)}
    </span>
  );
}

/** A line end that is seen, and that ends the line. */
function withLineEnds(text: string): string {
  return text.replace(/\n/g, "↵\n");
}

function Legend(): VNode {
  return (
    <p class="token-legend">
      <span class="hint">How likely each token was:</span>
      {LEVEL_NAMES.map((name, level) => (
        <span key={name} class={`token surprise-${level}`}>
          {name}
        </span>
      ))}
      <span class="token not-first">not the likeliest</span>
    </p>
  );
}

function TokenPanel({
  token,
  place,
  of,
}: {
  readonly token: TokenEntry;
  readonly place: number;
  readonly of: number;
}): VNode {
  const rows = alternativesOf(token);
  const rest = 1 - rows.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0);
  return (
    <div class="token-panel">
      <p class="token-panel-head">
        <code>{visibleToken(token.bytes)}</code> <strong>{percent(token.logprob)}</strong>{" "}
        <span class="hint">
          token {place} of {of}
        </span>
      </p>
      <table class="token-alternatives">
        <caption class="unseen">What the model could have said here</caption>
        <thead class="unseen">
          <tr>
            <th scope="col">Token</th>
            <th scope="col">Probability</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index} class={row === rows[chosenRow(token, rows)] ? "chosen" : ""}>
              <th scope="row">
                <code>{visibleToken(row.bytes)}</code>
                {row === rows[chosenRow(token, rows)] && <span class="hint"> chosen</span>}
              </th>
              <td>
                <meter min={0} max={1} value={Math.exp(row.logprob)} aria-hidden="true" />
                <span>{percent(row.logprob)}</span>
              </td>
            </tr>
          ))}
          {rest >= 0.0005 && (
            <tr>
              <th scope="row" class="hint">
                all others
              </th>
              <td>
                <meter min={0} max={1} value={rest} aria-hidden="true" />
                <span>{percent(Math.log(rest))}</span>
              </td>
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}

type Alternative = TokenEntry["top_logprobs"][number];

/** The likeliest first; the chosen token is among them. */
function alternativesOf(token: TokenEntry): readonly Alternative[] {
  const rows = [...token.top_logprobs];
  if (chosenRow(token, rows) === -1) rows.push(token);
  return rows.sort((a, b) => b.logprob - a.logprob);
}

function chosenRow(token: TokenEntry, rows: readonly Alternative[]): number {
  return rows.findIndex(
    ({ bytes, logprob }) => logprob === token.logprob && String(bytes) === String(token.bytes),
  );
}

function isLikeliest({ logprob, top_logprobs }: TokenEntry): boolean {
  return top_logprobs.every((other) => other.logprob <= logprob);
}

/** `space week, 93.4 %; instead of space month, 3.2 %`. */
function spoken(token: TokenEntry): string {
  const rows = alternativesOf(token);
  const chosen = chosenRow(token, rows);
  const others = rows.filter((_, index) => index !== chosen).slice(0, SPOKEN_ALTERNATIVES);
  const named = others.map(({ bytes, logprob }) => `${spokenToken(bytes)}, ${percent(logprob)}`);
  const instead = named.length === 0 ? "" : `; instead of ${named.join("; ")}`;
  return `${spokenToken(token.bytes)}, ${percent(token.logprob)}${instead}`;
}

/** @returns where a key leads; undefined where it is not one of the list's. */
function targetOf(key: string, from: number, list: HTMLElement | null): number | undefined {
  switch (key) {
    case "ArrowRight":
      return from + 1;
    case "ArrowLeft":
      return from - 1;
    case "Home":
      return 0;
    case "End":
      return Number.MAX_SAFE_INTEGER;
    case "ArrowDown":
      return list ? nearestInLine(list, from, 1) : undefined;
    case "ArrowUp":
      return list ? nearestInLine(list, from, -1) : undefined;
    default:
      return undefined;
  }
}

/** The token above or below, in the lines as they are broken now. */
function nearestInLine(list: HTMLElement, from: number, direction: 1 | -1): number {
  const boxes = [...list.children].map((child) => child.getClientRects()[0]);
  const own = boxes[from];
  if (own === undefined) return from;
  const isBeyond = (box: DOMRect | undefined): box is DOMRect =>
    box !== undefined && (box.top - own.top) * direction > own.height / 2;
  const beyond = boxes.filter(isBeyond);
  const tops = beyond.map(({ top }) => top * direction);
  const line = beyond.filter(({ top }) => top * direction < Math.min(...tops) + own.height / 2);
  const [nearest] = line.sort((a, b) => Math.abs(a.left - own.left) - Math.abs(b.left - own.left));
  return nearest === undefined ? from : boxes.indexOf(nearest);
}
