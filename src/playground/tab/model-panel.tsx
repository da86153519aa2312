/** Models: those beside the page, those that are kept, and files that are dropped; how far a download is; what is kept. */
import type { ComponentType, VNode } from "preact";
import { toBytes, toDuration } from "./amounts.ts";
import type { ModelEntry } from "./model-library.ts";
import type { Opening, TabState } from "./tab-state.ts";

export function modelPanel(state: TabState): ComponentType {
  return function ModelPanel(): VNode {
    const { library, opening, error, engine } = state;
    const models = library.value?.models ?? [];
    return (
      <section class="models" aria-label="Models">
        {error.value && (
          <p class="models-error" role="alert">
            {error.value.message}
          </p>
        )}
        {opening.value && <OpeningView state={state} opening={opening.value} />}
        {models.length > 0 && (
          <ul class="models-list">
            {models.map((model) => (
              <ModelLine key={model.key} state={state} model={model} />
            ))}
          </ul>
        )}
        <FilePicker state={state} />
        <Choices state={state} />
        <p class="models-note">
          {library.value?.keepsNothing ??
            `Kept in this browser: ${toBytes(library.value?.storedBytes ?? 0)}` +
              (library.value?.roomBytes === undefined
                ? ""
                : `; room for ${toBytes(library.value.roomBytes)} more`)}
          {engine.value === undefined && ". A model runs in this tab; nothing is sent anywhere."}
        </p>
      </section>
    );
  };
}

function ModelLine({ state, model }: { state: TabState; model: ModelEntry }): VNode {
  const { key, id, bytes, storedBytes, license } = model;
  const isOpen = state.key.value === key && state.engine.value !== undefined;
  const isWhole = storedBytes >= bytes;
  const isBusy = state.opening.value !== undefined && !state.opening.value.isPaused;
  const left = toBytes(bytes - storedBytes);
  const action = isWhole ? "Open" : storedBytes > 0 ? `Go on: ${left}` : `Download ${left}`;
  const where = isWhole
    ? "kept in this browser"
    : storedBytes > 0
      ? `${Math.floor((100 * storedBytes) / bytes)} % kept in this browser`
      : "beside this page";
  return (
    <li>
      <span class="models-name">{id}</span>
      <span class="models-facts">
        {[toBytes(bytes), license, isOpen ? "runs now" : where].filter(Boolean).join(", ")}
      </span>
      <span class="models-actions">
        {!isOpen && (
          <button type="button" disabled={isBusy} onClick={() => state.open(id, { key })}>
            {action}
          </button>
        )}
        {storedBytes > 0 && (
          <button
            type="button"
            disabled={isBusy}
            aria-label={`Remove ${id} from this browser`}
            onClick={() => state.remove(key)}
          >
            Remove
          </button>
        )}
      </span>
    </li>
  );
}

const PHASES = { download: "Downloading", pack: "Keeping", load: "Loading" } as const;

function OpeningView({ state, opening }: { state: TabState; opening: Opening }): VNode {
  const { name, part, isPaused } = opening;
  const { loaded = 0, total = 0, bytesPerSecond, remainingMs } = part ?? {};
  const isDownload = part?.phase === "download";
  const facts = [
    part && `${toBytes(loaded)} of ${toBytes(total)}`,
    !isPaused && isDownload && bytesPerSecond !== undefined && `${toBytes(bytesPerSecond)}/s`,
    !isPaused && isDownload && remainingMs !== undefined && `${toDuration(remainingMs)} left`,
  ].filter(Boolean);
  const title = isPaused ? "Paused" : part === undefined ? "Opening" : PHASES[part.phase];
  return (
    <div class="models-opening">
      <p role="status">
        {title} {name}
      </p>
      <progress
        aria-label={`${title} ${name}`}
        {...(part === undefined ? {} : { value: loaded, max: Math.max(total, 1) })}
      />
      <p class="models-facts">{facts.join(", ")}</p>
      <p class="models-actions">
        {isPaused ? (
          <button type="button" onClick={() => state.resume()}>
            Resume
          </button>
        ) : (
          <button type="button" onClick={() => state.pause()}>
            Pause
          </button>
        )}
        <button type="button" onClick={() => state.cancel()}>
          Cancel
        </button>
      </p>
    </div>
  );
}

function FilePicker({ state }: { state: TabState }): VNode {
  const { keep } = state;
  const canKeep = state.library.value?.keepsNothing === undefined;
  return (
    <div class="models-drop">
      <label>
        Open a GGUF file, or drop one on this page{" "}
        <input
          type="file"
          multiple
          onChange={({ currentTarget }) => {
            state.openFiles(currentTarget.files ?? []);
            // The same file may be picked again.
            currentTarget.value = "";
          }}
        />
      </label>
      <label>
        <input
          type="checkbox"
          checked={keep.value && canKeep}
          disabled={!canKeep}
          onChange={({ currentTarget }) => {
            keep.value = currentTarget.checked;
          }}
        />{" "}
        Keep it in this browser
      </label>
    </div>
  );
}

function Choices({ state }: { state: TabState }): VNode {
  const { backend = "auto" } = state.options.value;
  return (
    <label class="models-backend">
      Computed by{" "}
      <select
        value={backend}
        onChange={({ currentTarget }) => {
          const chosen = currentTarget.value as "auto" | "wasm" | "webgpu";
          state.options.value = { ...state.options.value, backend: chosen };
        }}
      >
        <option value="auto">what is faster here</option>
        <option value="wasm">WebAssembly</option>
        <option value="webgpu">WebGPU</option>
      </select>
    </label>
  );
}
