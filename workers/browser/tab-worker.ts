/** The worker of a page that runs its model itself. The page is the folder above that of its scripts. */
import { openLibrary, refreshSite } from "../../src/playground/tab/open-library.ts";
import { serveCalls } from "../../src/playground/tab/serve-calls.ts";
import { tabMethods } from "../../src/playground/tab/tab-methods.ts";

const base = new URL("../", location.href).href;
let library: ReturnType<typeof openLibrary> | undefined;
serveCalls(
  self,
  tabMethods({
    library: () => (library ??= openLibrary(base)),
    refresh: (found) => refreshSite(found, base),
    room: () => navigator.storage.estimate(),
  }),
);
