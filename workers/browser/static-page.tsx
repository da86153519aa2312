/** The page that any host of files can have: the model runs in its tab. */
import "../../src/playground/styles/page.css";
import "../../src/playground/styles/models.css";
import { mountPlayground } from "../../src/playground/app.tsx";
import { keepOffline } from "../../src/playground/offline/update-notice.tsx";
import { acceptDrops } from "../../src/playground/tab/accept-drops.ts";
import { modelPanel } from "../../src/playground/tab/model-panel.tsx";
import { createTabState, type TabState } from "../../src/playground/tab/tab-state.ts";
import { WorkerCalls, type WorkerLike } from "../../src/playground/tab/worker-calls.ts";

declare const PRONK_TAB_WORKER: string;

const root = document.getElementById("page");
if (root === null) throw new Error("page: the document has no #page");
const spawn = (): WorkerLike =>
  new Worker(new URL(PRONK_TAB_WORKER, import.meta.url), { type: "module" }) as WorkerLike;
const offline = keepOffline(new URL("../service-worker.js", import.meta.url), () => state);
const settled = crossOriginIsolated ? Promise.resolve() : offline;
const state: TabState = createTabState(new WorkerCalls({ spawn }), { settled });
mountPlayground(root, { kind: "tab", engine: state.engine, ModelPanel: modelPanel(state) });
acceptDrops(document, (files) => state.openFiles(files));
await state.start();
