/** The page's head: its name, the views, and what opens the settings. */
import type { Signal } from "@preact/signals";
import type { VNode } from "preact";
import { useRef } from "preact/hooks";
import { usePage } from "./page-context.ts";
import { CHAT_ID } from "./place.ts";
import { VIEWS } from "./views/views.ts";

interface HeaderProps {
  readonly isOpen: Signal<boolean>;
  readonly current: string;
}

export function PageHeader({ isOpen, current }: HeaderProps): VNode {
  const { facts, engine } = usePage();
  const found = facts.value;
  const button = useRef<HTMLButtonElement>(null);
  const views = [{ id: CHAT_ID, title: "Chat" }, ...VIEWS];
  return (
    <header class="page-head">
      <h1>pronk</h1>
      <nav aria-label="Views">
        <ul>
          {views.map(({ id, title }) => (
            <li key={id}>
              <a href={`#${id}`} aria-current={id === current ? "page" : undefined}>
                {title}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <button
        type="button"
        ref={button}
        id="settings-button"
        class="settings-button"
        aria-expanded={isOpen.value}
        aria-controls="settings"
        onClick={() => {
          isOpen.value = !isOpen.value;
        }}
      >
        <span class="model-name">
          {found?.model ?? (engine.value === undefined ? "No model" : "Model")}
        </span>
        {found && (
          <span class="hint">
            {found.backend} {found.kernel}
          </span>
        )}
        <span class="settings-word">Settings</span>
      </button>
    </header>
  );
}
