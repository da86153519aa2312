/** The page: its head, the views, and the settings beside them. */
import { effect, type Signal, signal } from "@preact/signals";
import { render, type VNode } from "preact";
import { ChatView } from "./chat/chat-view.tsx";
import type { EngineFacts } from "./engine.ts";
import { PageHeader } from "./header.tsx";
import { type PageContext, type PageOptions, PageProvider } from "./page-context.ts";
import { CHAT_ID, currentView } from "./place.ts";
import { SettingsPanel, WIDE } from "./settings/settings-panel.tsx";
import { Chat } from "./state/chat.ts";
import { storedSignal } from "./state/stored.ts";
import { VIEWS } from "./views/views.ts";

/** Puts the page into an element. */
export function mountPlayground(root: HTMLElement, options: PageOptions): void {
  const facts = signal<EngineFacts | undefined>(undefined);
  effect(() => {
    const engine = options.engine.value;
    facts.value = undefined;
    engine?.facts().then(
      (found) => {
        if (options.engine.value === engine) facts.value = found;
      },
      () => {}, // what it is asked next says why
    );
  });
  const chat = new Chat(options.engine);
  const isOpen = createOpen();
  render(<App page={{ ...options, facts }} chat={chat} isOpen={isOpen} />, root);
}

/** Open where the settings stand beside the view, unless they were closed there; where they cover it, when asked for. */
function createOpen(): Signal<boolean> {
  const wide = matchMedia(WIDE);
  const wanted = storedSignal("settings-beside", true, {
    parse: (stored) => (typeof stored === "boolean" ? stored : undefined),
  });
  const isOpen = signal(wide.matches && wanted.peek());
  wide.addEventListener("change", () => {
    isOpen.value = wide.matches && wanted.peek();
  });
  effect(() => {
    const open = isOpen.value;
    if (wide.matches) wanted.value = open;
  });
  return isOpen;
}

interface AppProps {
  readonly page: PageContext;
  readonly chat: Chat;
  readonly isOpen: Signal<boolean>;
}

function App({ page, chat, isOpen }: AppProps): VNode {
  const id = currentView.value;
  const view = VIEWS.find((one) => one.id === id);
  const engine = page.engine.value;
  const { ModelPanel } = page;
  return (
    <PageProvider value={page}>
      <a class="skip" href={view === undefined ? "#message" : "#view"}>
        Skip to the {view === undefined ? "message" : "view"}
      </a>
      <PageHeader isOpen={isOpen} current={view?.id ?? CHAT_ID} />
      <div class="page-body">
        <main id="view" tabIndex={-1} class={view === undefined ? "is-chat" : "is-view"}>
          {view === undefined && <ChatView chat={chat} />}
          {view !== undefined && engine === undefined && <ModelPanel />}
          {view !== undefined && engine !== undefined && <view.Component engine={engine} />}
        </main>
        {isOpen.value && (
          <SettingsPanel
            chat={chat}
            onClose={() => {
              isOpen.value = false;
            }}
          />
        )}
      </div>
    </PageProvider>
  );
}
