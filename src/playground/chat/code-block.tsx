/** Code of an answer, with its language and a button that copies it. */
import type { VNode } from "preact";
import { CopyButton } from "../parts/copy-button.tsx";

/** `ts title="a"`: the language is the first word. */
const LANGUAGE = /^[\w+#.-]{1,24}/;

export function CodeBlock({
  language,
  text,
}: {
  readonly language: string;
  readonly text: string;
}): VNode {
  const name = LANGUAGE.exec(language)?.[0] ?? "";
  return (
    <figure class="code-block">
      <figcaption>
        <span>{name || "text"}</span>
        <CopyButton text={text} label="Copy code" />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keys */}
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
    </figure>
  );
}
