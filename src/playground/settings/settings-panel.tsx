/** Everything beside the conversation: the model, how it answers, and what can be done with what was said. */
import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { usePage } from "../page-context.ts";
import type { Chat } from "../state/chat.ts";
import { AnswerSettings } from "./answer-settings.tsx";
import { ConversationActions } from "./conversation-actions.tsx";
import { ModelFacts } from "./model-facts.tsx";

interface PanelProps {
  readonly chat: Chat;
  readonly onClose: () => void;
}

/** As the styles have it: below, the panel covers the page. */
export const WIDE = "(min-width: 64rem)";

export function SettingsPanel({ chat, onClose }: PanelProps): VNode {
  const { ModelPanel, engine } = usePage();
  const panel = useRef<HTMLElement>(null);
  const close = (): void => {
    onClose();
    document.getElementById("settings-button")?.focus();
  };
  useEffect(() => coverPage(panel.current), []);
  return (
    <aside
      id="settings"
      class="settings"
      aria-label="Settings"
      ref={panel}
      onKeyDown={(event) => {
        if (event.key === "Escape") close();
      }}
    >
      <div class="settings-head">
        <h2>Settings</h2>
        <button type="button" class="quiet" onClick={close}>
          Close
        </button>
      </div>
      <section aria-labelledby="model-title">
        <h3 id="model-title">Model</h3>
        {/* Where there is no model the page itself has the panel. */}
        {engine.value === undefined ? <p class="hint">None yet.</p> : <ModelPanel />}
        <ModelFacts chat={chat} />
      </section>
      <AnswerSettings chat={chat} />
      <ConversationActions chat={chat} />
    </aside>
  );
}

/** Where it covers the page, what is below is out of reach until it is closed. @returns what ends that. */
function coverPage(panel: HTMLElement | null): () => void {
  const media = matchMedia(WIDE);
  const below = (): HTMLElement[] => [
    ...document.querySelectorAll<HTMLElement>("#view, .page-head nav, .skip"),
  ];
  const apply = (): void => {
    for (const element of below()) element.inert = !media.matches;
  };
  apply();
  if (!media.matches) panel?.querySelector("button")?.focus();
  media.addEventListener("change", apply);
  return () => {
    media.removeEventListener("change", apply);
    for (const element of below()) element.inert = false;
  };
}
