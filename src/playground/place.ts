/** Which view is looked at, as the page's address says: `#tokenizer`. */
import { type Signal, signal } from "@preact/signals";
import { VIEWS } from "./views/views.ts";

/** The chat's, which is also that of any other address. */
export const CHAT_ID = "chat";

const idNow = (): string => location.hash.slice(1);

export const currentView: Signal<string> = signal(idNow());

addEventListener("hashchange", () => {
  const id = idNow();
  // Other addresses are places within a view.
  if (id === CHAT_ID || VIEWS.some((view) => view.id === id)) currentView.value = id;
});
