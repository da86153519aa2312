/**
 * An answer's Markdown as elements. marked reads it, its tokens become elements here: no text is ever read as
 * HTML, links lead to the web or to mail alone, and nothing is loaded from anywhere.
 */
import type { MarkedToken, Token, Tokens } from "marked";
import { Component, type ComponentChildren, type VNode } from "preact";
import { useState } from "preact/hooks";
import { CodeBlock } from "./code-block.tsx";
import { blocksOf, GrowingBlocks } from "./growing-blocks.ts";

/** Below the page's own headings. */
const FIRST_LEVEL = 3;

/** Of hostile text, such as thousands of `>`: what is deeper is shown as it was written. */
const MAX_DEPTH = 20;

/** @param isGrowing more may come: only its end is read again, and blocks that are whole are not drawn again */
export function Markdown({
  text,
  isGrowing = false,
}: {
  readonly text: string;
  readonly isGrowing?: boolean;
}): VNode {
  const [growing] = useState(() => new GrowingBlocks());
  const blocks = isGrowing ? growing.read(text) : blocksOf(text);
  return (
    <div class="markdown">
      {blocks.map((token, index) => (
        <Block key={index} raw={token.raw} token={token} />
      ))}
    </div>
  );
}

interface BlockProps {
  readonly raw: string;
  readonly token: Token;
}

/** Drawn again only when its own text has changed. */
class Block extends Component<BlockProps> {
  override shouldComponentUpdate(next: BlockProps): boolean {
    return next.raw !== this.props.raw || next.token.type !== this.props.token.type;
  }

  override render({ token }: BlockProps): VNode {
    return <>{element(token as MarkedToken, 0)}</>;
  }
}

function children(tokens: readonly Token[] | undefined, depth: number): ComponentChildren {
  return tokens?.map((token) => element(token as MarkedToken, depth + 1));
}

function element(token: MarkedToken, depth: number): ComponentChildren {
  if (depth > MAX_DEPTH) return token.raw;
  const inner = "tokens" in token ? (token.tokens as Token[] | undefined) : undefined;
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "code":
      return <CodeBlock language={token.lang ?? ""} text={token.text} />;
    case "heading":
      return heading(token, depth);
    case "hr":
      return <hr />;
    case "blockquote":
      return <blockquote>{children(inner, depth)}</blockquote>;
    case "list":
      return list(token, depth);
    case "table":
      return table(token, depth);
    case "paragraph":
      return <p>{children(inner, depth)}</p>;
    case "strong":
      return <strong>{children(inner, depth)}</strong>;
    case "em":
      return <em>{children(inner, depth)}</em>;
    case "del":
      return <del>{children(inner, depth)}</del>;
    case "codespan":
      return <code>{token.text}</code>;
    case "br":
      return <br />;
    case "link":
      return link(token, children(inner, depth));
    case "image":
      // Never loaded: it would tell another host that this text was read.
      return link(token, `[image: ${token.text || token.href}]`);
    case "checkbox":
      return token.checked ? "☑ " : "☐ ";
    case "text":
      return inner === undefined ? token.text : children(inner, depth);
    case "escape":
      return token.text;
    default:
      return token.raw; // HTML stays the text that it is
  }
}

function heading({ depth: level, tokens }: Tokens.Heading, depth: number): VNode {
  const Heading = `h${Math.min(FIRST_LEVEL + level - 1, 6)}` as "h3";
  return <Heading>{children(tokens, depth)}</Heading>;
}

function list({ ordered, start, items }: Tokens.List, depth: number): VNode {
  const rows = items.map((item, index) => (
    <li key={index} class={item.task ? "task" : undefined}>
      {children(item.tokens, depth)}
    </li>
  ));
  if (!ordered) return <ul>{rows}</ul>;
  return <ol start={start === "" ? 1 : start}>{rows}</ol>;
}

function table({ header, rows }: Tokens.Table, depth: number): VNode {
  const align = ({ align }: Tokens.TableCell): string | undefined =>
    align ? `align-${align}` : undefined;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keys
    <div class="scrolling" tabIndex={0}>
      <table>
        <thead>
          <tr>
            {header.map((cell, index) => (
              <th key={index} scope="col" class={align(cell)}>
                {children(cell.tokens, depth)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, column) => (
                <td key={column} class={align(cell)}>
                  {children(cell.tokens, depth)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What leads anywhere else is text: `javascript:`, `data:`, and paths, which would be this page's own. */
function link(
  { href, title }: Tokens.Link | Tokens.Image,
  content: ComponentChildren,
): ComponentChildren {
  const target = safeTarget(href);
  if (target === undefined) return content;
  return (
    <a href={target} title={title ?? undefined} target="_blank" rel="noopener noreferrer nofollow">
      {content}
    </a>
  );
}

/** The address where it is of the web or of mail, and absolute; else undefined. */
export function safeTarget(href: string): string | undefined {
  if (!/^(?:https?:\/\/|mailto:)/i.test(href)) return undefined;
  try {
    return new URL(href).href;
  } catch {
    return undefined;
  }
}
