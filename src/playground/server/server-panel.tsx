/** Where a server's page says why there is no model yet, and takes the key that the server wants. */
import type { ComponentType, VNode } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Connection } from "./connection.ts";

/** The panel of one connection, as the page takes it. */
export function serverPanel(connection: Connection): ComponentType {
  return () => <ServerPanel connection={connection} />;
}

function ServerPanel({ connection }: { readonly connection: Connection }): VNode | null {
  const state = connection.state.value;
  switch (state.is) {
    case "ready":
      return connection.hasKey ? <ForgetKey connection={connection} /> : null;
    case "connecting":
      return <p role="status">Asking the server…</p>;
    case "loading":
      return <Loading progress={state.progress} />;
    case "locked":
      return <KeyForm connection={connection} isWrong={state.isWrong} />;
    case "failed":
      return (
        <div class="notice failed" role="alert">
          <p>
            <strong>No model.</strong> {state.why}.
          </p>
          <p class="actions">
            <button type="button" onClick={() => void connection.connect()}>
              Try again
            </button>
          </p>
        </div>
      );
  }
}

function Loading({ progress }: { readonly progress: number | undefined }): VNode {
  const id = useId();
  const percent = progress === undefined ? "" : `: ${Math.floor(progress * 100)} %`;
  return (
    <div class="model-loading">
      <label for={id}>The server loads its model{percent}</label>
      <progress id={id} {...(progress !== undefined && { value: progress })} />
    </div>
  );
}

function KeyForm({
  connection,
  isWrong,
}: {
  readonly connection: Connection;
  readonly isWrong: boolean;
}): VNode {
  const [key, setKey] = useState("");
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    // The one thing that can be done, unless somebody types elsewhere.
    if (document.activeElement === document.body) field.current?.focus();
  }, []);
  return (
    <form
      class="key-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (key.trim() !== "") connection.useKey(key.trim());
      }}
    >
      <p>
        <label for={id}>This server wants an API key</label>
        <input
          id={id}
          ref={field}
          type="password"
          autocomplete="off"
          spellcheck={false}
          value={key}
          aria-invalid={isWrong}
          aria-describedby={`${id}-hint`}
          onInput={({ currentTarget }) => setKey(currentTarget.value)}
        />
      </p>
      {isWrong && (
        <p class="error" role="alert">
          The server knows no such key.
        </p>
      )}
      <p class="hint" id={`${id}-hint`}>
        Kept until this tab is closed, and sent to this server alone.
      </p>
      <p class="actions">
        <button type="submit" class="primary" aria-disabled={key.trim() === ""}>
          Use the key
        </button>
      </p>
    </form>
  );
}

function ForgetKey({ connection }: { readonly connection: Connection }): VNode {
  return (
    <p>
      <button type="button" onClick={() => connection.forgetKey()}>
        Forget the API key
      </button>
    </p>
  );
}
