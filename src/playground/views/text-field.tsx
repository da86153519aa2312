/** The text that a view is about, and why it could not be shown. */
import type { VNode } from "preact";
import { useId } from "preact/hooks";

export interface TextFieldProps {
  readonly text: string;
  readonly rows: number;
  readonly error: string | undefined;
  readonly onText: (text: string) => void;
}

export function TextField({ text, rows, error, onText }: TextFieldProps): VNode {
  const id = useId();
  return (
    <>
      <label for={id}>Text</label>
      <textarea
        id={id}
        rows={rows}
        spellcheck={false}
        value={text}
        onInput={({ currentTarget }) => onText(currentTarget.value)}
      />
      {error !== undefined && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
    </>
  );
}
