/**
 * Loaded into the server's process (`node --import`): answers over IPC how much it holds after a forced collection, and how
 * many handles and sockets are open. `PRONK_LOAD_LEAK=bytes` plants a leak of so much a request, which the test has to find.
 */
import { Server } from "node:http";

process.channel?.unref();
process.on("message", async () => {
  // Finalizers and what they free need a turn of their own.
  for (let i = 0; i < 4; i++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, rss, external, arrayBuffers } = process.memoryUsage();
  const resources = process.getActiveResourcesInfo();
  const count = (name) => resources.filter((one) => one === name).length;
  process.send({
    heap: heapUsed,
    rss,
    external,
    arrayBuffers,
    handles: resources.length,
    sockets: count("TCPSocketWrap"),
    timers: count("Timeout"),
  });
  process.channel?.unref();
});

const bytes = Number(process.env.PRONK_LOAD_LEAK ?? 0);
if (bytes > 0) {
  const kept = [];
  const { emit } = Server.prototype;
  Server.prototype.emit = function (event, ...args) {
    if (event === "request")
      kept.push(Array.from({ length: bytes / 8 }, (_, i) => i + kept.length));
    return emit.call(this, event, ...args);
  };
}
