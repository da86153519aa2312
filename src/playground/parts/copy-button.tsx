/** A button that copies a text, and says so. */
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";

/** Long enough to be read. */
const SAID_MS = 2000;

export interface CopyButtonProps {
  /** Or what makes it, when it is asked for. */
  readonly text: string | (() => string);
  readonly label: string;
  readonly className?: string;
}

export function CopyButton({ text, label, className = "quiet" }: CopyButtonProps): VNode {
  const [said, say] = useState("");
  useEffect(() => {
    if (said === "") return undefined;
    const timer = setTimeout(() => say(""), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(typeof text === "string" ? text : text());
      say("Copied");
    } catch {
      // Pages that came by http: from another machine have no clipboard.
      say("Not allowed here");
    }
  };
  return (
    <button type="button" class={className} onClick={() => void copy()}>
      <span aria-hidden={said !== ""}>{said === "" ? label : said}</span>
      <span class="unseen" role="status">
        {said}
      </span>
    </button>
  );
}
