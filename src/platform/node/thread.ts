/** The file of a thread on Node. */
import { parentPort } from "node:worker_threads";
import { serveThread, type ThreadStart } from "../../backends/wasm/threads/serve-thread.ts";
import { now } from "../clock.ts";

parentPort?.once("message", (start: ThreadStart) => {
  serveThread(start, now, (answer) => parentPort?.postMessage(answer));
});
