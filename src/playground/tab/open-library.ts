/** The library of a page's worker: this browser's storage, and what lies beside the page. */

import { MODELS_NAME, parseSiteModels } from "../../pack/site-models.ts";
import { httpFolder } from "../../sources/http.ts";
import { retryingFolder } from "../../sources/retrying.ts";
import { ModelLibrary } from "./model-library.ts";
import { opfsFiles } from "./opfs-files.ts";
import type { Locks } from "./stored-files.ts";
import { StoredObjects } from "./stored-objects.ts";

/** Changes when what is kept is laid out in another way. */
const ROOT = "pronk-1";

/** @param base of the page: models are beside it, and nowhere else. */
export async function openLibrary(base: string): Promise<ModelLibrary> {
  const fetch = globalThis.fetch.bind(globalThis);
  return new ModelLibrary({
    kept: await openKept().catch(() => undefined),
    remote: ({ folder }) => retryingFolder(httpFolder(new URL(folder, base), { fetch })),
    room: navigator.storage,
    now: () => performance.now(),
  });
}

async function openKept() {
  const objects = await opfsFiles([ROOT, "objects"]);
  const records = await opfsFiles([ROOT, "models"]);
  const locks = navigator.locks as unknown as Locks;
  return { objects: new StoredObjects(objects, locks), records, locks };
}

/** Without a list, or without a network, what was found before stays. */
export async function refreshSite(library: ModelLibrary, base: string): Promise<void> {
  const answer = await fetch(new URL(MODELS_NAME, base)).catch(() => undefined);
  if (answer?.ok) library.setSite(parseSiteModels(await answer.text(), base));
}
