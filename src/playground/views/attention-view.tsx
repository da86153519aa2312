/**
 * Which token of a text attends to which: a picture of all of it, and a window of it as a table, which
 * slides over texts that are longer.
 */
import type { VNode } from "preact";
import { useCallback, useId, useMemo, useState } from "preact/hooks";
import { attentionMaskSvg } from "../../llama/attention-mask-svg.ts";
import type { AttentionGrid } from "../engine.ts";
import { usePage } from "../page-context.ts";
import { TextField } from "./text-field.tsx";
import { useKeptText } from "./use-kept-text.ts";
import { useText } from "./use-text.ts";
import type { ViewProps } from "./view.ts";

const EXAMPLE = "A llama reads every token before this one, and none behind it.";

/** Tokens on a side of the table: what fits a screen, and what somebody listens to. */
const WINDOW = 16;

/** Tokens that a drawing is made of: it has a square of as many elements. */
const MAX_DRAWN = 256;

export function AttentionView({ engine }: ViewProps): VNode {
  const [text, setText] = useKeptText("attention", EXAMPLE);
  const make = useCallback((given: string) => engine.attentionMask(given), [engine]);
  const { value: grid, error } = useText(text, make);
  const id = useId();
  return (
    <section class="view" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>Attention mask</h2>
      <p class="hint">
        A row is a token, and its filled squares are the tokens that it may look at: itself, and all
        before it. That is what lets a model read a text once and keep what it read.
      </p>
      <TextField text={text} rows={3} error={error} onText={setText} />
      {grid && error === undefined && <Mask grid={grid} />}
    </section>
  );
}

function Mask({ grid }: { readonly grid: AttentionGrid }): VNode {
  const { tokens, mask } = grid;
  const [wantedRow, setRow] = useState(0);
  const [wantedColumn, setColumn] = useState(0);
  const last = Math.max(0, tokens.length - WINDOW);
  const row = Math.min(wantedRow, last);
  const column = Math.min(wantedColumn, last);
  const attended = mask.reduce((sum, cells) => sum + cells.filter(Boolean).length, 0);
  return (
    <>
      <p role="status" class="figures">
        {tokens.length} {tokens.length === 1 ? "token" : "tokens"}; {attended} of{" "}
        {tokens.length ** 2} pairs attend
      </p>
      <div class="mask">
        <MaskTable grid={grid} row={row} column={column} />
        <div class="mask-side">
          <Picture grid={grid} row={row} column={column} />
          {last > 0 && (
            <>
              <Slider label="Rows from token" value={row} max={last} onChange={setRow} />
              <Slider label="Columns from token" value={column} max={last} onChange={setColumn} />
            </>
          )}
          <SaveDrawing grid={grid} />
        </div>
      </div>
    </>
  );
}

interface WindowProps {
  readonly grid: AttentionGrid;
  readonly row: number;
  readonly column: number;
}

function MaskTable({ grid: { tokens, mask }, row, column }: WindowProps): VNode {
  const rows = tokens.slice(row, row + WINDOW);
  const columns = tokens.slice(column, column + WINDOW);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reached
    <section class="scrolling" aria-label="Which token attends to which" tabIndex={0}>
      <table class="mask-table">
        <caption>
          Tokens {row} to {row + rows.length - 1}, attending to {column} to{" "}
          {column + columns.length - 1}
        </caption>
        <thead>
          <tr>
            <th scope="col">Token</th>
            {columns.map((token, j) => (
              <th key={j} scope="col" title={token}>
                <span class="unseen">to {token}, </span>
                {column + j}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((token, i) => (
            <tr key={i}>
              <th scope="row">
                {row + i} <code>{token}</code>
              </th>
              {columns.map((_, j) => {
                const kind = kindOf(mask, row + i, column + j);
                return (
                  <td key={j} class={kind}>
                    <span class="unseen">{SPOKEN[kind]}</span>
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const SPOKEN = { self: "itself", attends: "attends", masked: "masked" } as const;

function kindOf(mask: AttentionGrid["mask"], i: number, j: number): keyof typeof SPOKEN {
  if (mask[i]?.[j] !== true) return "masked";
  return i === j ? "self" : "attends";
}

interface SliderProps {
  readonly label: string;
  readonly value: number;
  readonly max: number;
  readonly onChange: (value: number) => void;
}

function Slider({ label, value, max, onChange }: SliderProps): VNode {
  return (
    <label class="slider">
      {label} {value}
      <input
        type="range"
        min={0}
        max={max}
        value={value}
        onInput={({ currentTarget }) => onChange(currentTarget.valueAsNumber)}
      />
    </label>
  );
}

/** All of the mask, a unit a token, with a frame around what the table shows. */
function Picture({ grid: { tokens, mask }, row, column }: WindowProps): VNode {
  const size = tokens.length;
  const { attends, self } = useMemo(() => pathsOf(mask), [mask]);
  return (
    <svg
      class="mask-picture"
      viewBox={`0 0 ${size} ${size}`}
      shape-rendering="crispEdges"
      role="img"
      aria-label={`The mask of all ${size} tokens`}
    >
      <path class="attends" d={attends} />
      <path class="self" d={self} />
      {size > WINDOW && <rect class="frame" x={column} y={row} width={WINDOW} height={WINDOW} />}
    </svg>
  );
}

/** A rectangle for each run of squares in a row: one a row where every token before is attended to. */
function pathsOf(mask: AttentionGrid["mask"]): { attends: string; self: string } {
  const attends: string[] = [];
  const self: string[] = [];
  for (const [i, cells] of mask.entries()) {
    if (cells[i] === true) self.push(`M${i} ${i}h1v1h-1z`);
    for (let j = 0; j < cells.length; j++) {
      const start = j;
      while (cells[j] === true && j !== i) j++;
      if (j > start) attends.push(`M${start} ${i}h${j - start}v1h${start - j}z`);
    }
  }
  return { attends: attends.join(""), self: self.join("") };
}

/** What `pronk attn-mask --svg` writes. */
function SaveDrawing({ grid }: { readonly grid: AttentionGrid }): VNode | null {
  const { facts } = usePage();
  if (grid.tokens.length > MAX_DRAWN) return null;
  const save = (): void => {
    const svg = attentionMaskSvg(facts.value?.model ?? "model", grid);
    const url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    const link = Object.assign(document.createElement("a"), { href: url, download: FILE_NAME });
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <button type="button" onClick={save}>
      Save as SVG
    </button>
  );
}

const FILE_NAME = "attention-mask.svg";
