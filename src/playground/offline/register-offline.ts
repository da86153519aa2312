/** The page's side of its service worker: registered, and a new version told of, never forced. */
import { TAKE_OVER } from "./serve-offline.ts";

export interface OfflineOptions {
  /** The service worker's file; its folder is what it serves. */
  readonly script: URL;
  /** A new version waits: `take` loads the page anew with it. */
  readonly onUpdate: (take: () => void) => void;
  /** The page is kept: from now on it opens without a network. */
  readonly onReady: () => void;
  /** Nothing would be lost by loading the page anew. */
  readonly isIdle: () => boolean;
}

/** One reload for the headers that threads need; a second one would not give them either. */
const RELOADED = "pronk-isolated";

/**
 * Where the host sends no COOP and COEP, the first visit loads the page again once the service worker is there, which
 * adds them: only then may memory be shared. Settles when this page will stay.
 */
export async function registerOffline({
  script,
  onUpdate,
  onReady,
  isIdle,
}: OfflineOptions): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  const { serviceWorker } = navigator;
  const hadNone = serviceWorker.controller === null;
  let isTaken = false;
  const registration = await serviceWorker.register(script, { updateViaCache: "none" });
  const offer = (waiting: ServiceWorker): void =>
    onUpdate(() => {
      isTaken = true;
      waiting.postMessage(TAKE_OVER);
    });
  serviceWorker.addEventListener("controllerchange", () => {
    if (isTaken) location.reload();
  });
  if (registration.waiting !== null && !hadNone) offer(registration.waiting);
  registration.addEventListener("updatefound", () => {
    const { installing } = registration;
    installing?.addEventListener("statechange", () => {
      if (installing.state === "installed" && serviceWorker.controller !== null) offer(installing);
    });
  });
  await serviceWorker.ready;
  onReady();
  if (crossOriginIsolated || !isIdle() || sessionStorage.getItem(RELOADED) !== null) return;
  sessionStorage.setItem(RELOADED, "1");
  location.reload();
  // Nothing is to begin in what is left of this page.
  await new Promise(() => {});
}
