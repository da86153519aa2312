/** The file of a thread where threads are web workers: in Deno, Bun and browsers. */
import { serveThread, type ThreadStart } from "../backends/wasm/threads/serve-thread.ts";
import { now } from "./clock.ts";

addEventListener("message", ({ data }: MessageEvent<ThreadStart>) => {
  serveThread(data, now, (answer) => postMessage(answer));
});
