/** What an isolate of a local workerd holds, by its inspector, and what its process does. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** Miniflare's own: Node 20 has no WebSocket. */
const { WebSocket } = createRequire(createRequire(import.meta.url).resolve("miniflare"))("ws") as {
  WebSocket: typeof globalThis.WebSocket;
};

/** Between two looks: several a token. */
const LOOK_MS = 2;

/** Of V8; the memories of WebAssembly are in none of them. */
interface HeapUsage {
  /** Objects and code, garbage that is not collected included. */
  readonly usedSize: number;
  /** What ArrayBuffers hold. */
  readonly backingStorageSize: number;
}

export interface IsolateMemory {
  /** The most bytes of heap and buffers together that any look found. */
  readonly heapBytes: number;
  readonly looks: number;
  /** Of all WebAssembly memories, at the end. */
  readonly wasmBytes: number;
}

interface Inspector {
  call<Result>(method: string, params?: object): Promise<Result>;
  /** Of the Worker, after `Runtime.enable`: workerd has no default one. */
  readonly contextId: number;
  close(): void;
}

async function openInspector(url: string): Promise<Inspector> {
  const socket = new WebSocket(url);
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error(`no inspector at ${url}`));
  });
  const waiting = new Map<number, (result: never) => void>();
  let contextId = 0;
  socket.onmessage = ({ data }) => {
    const { id, result, method, params } = JSON.parse(data);
    if (method === "Runtime.executionContextCreated") contextId = params.context.id;
    waiting.get(id)?.(result as never);
    waiting.delete(id);
  };
  let calls = 0;
  return {
    call: (method, params = {}) =>
      new Promise((resolve) => {
        waiting.set(++calls, resolve as never);
        socket.send(JSON.stringify({ id: calls, method, params }));
      }),
    get contextId() {
      return contextId;
    },
    close: () => socket.close(),
  };
}

/**
 * Bytes of an isolate's heap that are in use after a collection.
 *
 * @param work is repeated meanwhile: an isolate that does nothing answers no inspector.
 */
export async function collectedBytes(
  inspectorUrl: string,
  work: () => Promise<unknown>,
): Promise<number> {
  const { call, close } = await openInspector(inspectorUrl);
  try {
    let found: number | undefined;
    const measure = async (): Promise<void> => {
      await call("HeapProfiler.collectGarbage");
      found = (await call<HeapUsage>("Runtime.getHeapUsage")).usedSize;
    };
    const measuring = measure();
    while (found === undefined) await work();
    await measuring;
    return found;
  } finally {
    close();
  }
}

/** Looks at an isolate while `work` goes on. */
export async function watchIsolate(
  inspectorUrl: string,
  work: () => Promise<unknown>,
): Promise<IsolateMemory> {
  const inspector = await openInspector(inspectorUrl);
  const { call } = inspector;
  let heapBytes = 0;
  let looks = 0;
  let isOver = false;
  const watch = async (): Promise<void> => {
    while (!isOver) {
      const usage = await call<HeapUsage>("Runtime.getHeapUsage");
      heapBytes = Math.max(heapBytes, usage.usedSize + usage.backingStorageSize);
      looks++;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  };
  const watching = watch();
  try {
    await work();
    isOver = true;
    await watching;
    await call("Runtime.enable");
    const prototype = await call<{ result: { objectId: string } }>("Runtime.evaluate", {
      expression: "WebAssembly.Memory.prototype",
      contextId: inspector.contextId,
    });
    const { objects } = await call<{ objects: { objectId: string } }>("Runtime.queryObjects", {
      prototypeObjectId: prototype.result.objectId,
    });
    const { result } = await call<{ result: { value: number } }>("Runtime.callFunctionOn", {
      objectId: objects.objectId,
      functionDeclaration:
        "function () { return this.reduce((sum, { buffer }) => sum + buffer.byteLength, 0); }",
      returnByValue: true,
    });
    return { heapBytes, looks, wasmBytes: result.value };
  } finally {
    isOver = true;
    inspector.close();
  }
}

/** Every workerd that is a child of this process. */
export function workerdProcesses(): number[] {
  const lines = execFileSync("ps", ["-eo", "pid,ppid,args"], { encoding: "utf8" }).split("\n");
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, program]) => Number(parent) === process.pid && /workerd/.test(program))
    .map(([pid]) => Number(pid));
}

/** Resident bytes of a process, now or at their peak. */
export function residentBytes(pid: number, which: "now" | "peak"): number {
  const field = which === "now" ? "VmRSS" : "VmHWM";
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
}
