/** What an engine makes of a text while it is typed: asked for when the typing pauses, the last text wins. */
import { useEffect, useState } from "preact/hooks";
import { messageOf } from "./use-answer.ts";

export interface TextResult<Value> {
  /** Of the last text that worked; undefined before the first. */
  readonly value?: Value;
  /** Why the text as it stands did not. */
  readonly error?: string;
  /** Whether a newer text is on its way. */
  readonly pending: boolean;
}

/** A pause in typing. */
const PAUSE_MS = 200;

/** @param make asks the engine; the same function as long as the engine is the same. */
export function useText<Value>(
  text: string,
  make: (text: string) => Promise<Value>,
): TextResult<Value> {
  const [result, setResult] = useState<TextResult<Value>>({ pending: true });
  useEffect(() => {
    let isCurrent = true;
    setResult((was) => ({ ...was, pending: true }));
    const timer = setTimeout(() => {
      make(text).then(
        (value) => isCurrent && setResult({ value, pending: false }),
        (error) => isCurrent && setResult({ error: messageOf(error), pending: false }),
      );
    }, PAUSE_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [text, make]);
  return result;
}
