/** The service worker of the static page; the build says what belongs to it. */
import { type OfflineScope, serveOffline } from "../../src/playground/offline/serve-offline.ts";

declare const PRONK_VERSION: string;
declare const PRONK_FILES: readonly string[];

serveOffline(self as unknown as OfflineScope, {
  version: PRONK_VERSION,
  files: PRONK_FILES,
});
