/** The line at the page's end that offers its new version. */
import { render } from "preact";
import type { TabState } from "../tab/tab-state.ts";
import { registerOffline } from "./register-offline.ts";

/** A page without a service worker works as ever; it needs its network. */
export async function keepOffline(script: URL, state: () => TabState): Promise<void> {
  await registerOffline({
    script,
    onReady: () => document.documentElement.classList.add("is-offline-ready"),
    onUpdate(take) {
      const place = document.createElement("div");
      place.className = "update-notice";
      document.body.append(place);
      render(
        <p role="status">
          A new version of this page is here.{" "}
          <button type="button" onClick={take}>
            Load it
          </button>{" "}
          <button type="button" onClick={() => place.remove()}>
            Later
          </button>
        </p>,
        place,
      );
    },
    isIdle: () => state().prepareReload(),
  }).catch(() => {});
}
