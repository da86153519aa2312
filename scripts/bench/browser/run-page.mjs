// One page in one fresh headless Chromium: started, waited for, and ended whatever happens.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { processTree } from "../measured-child.mjs";
import { rootFlags } from "./find-chromium.mjs";
import { servePage } from "./page-server.mjs";
import { isRunning, rendererPeakMb } from "./processes.mjs";

/**
 * Nothing of the network but 127.0.0.1, none of a browser's own errands, and no thrift with pages
 * that nobody looks at.
 */
export const FLAGS = [
  "--headless",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--no-default-browser-check",
  "--no-proxy-server",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-default-apps",
  "--disable-domain-reliability",
  "--disable-extensions",
  "--disable-sync",
  "--disable-breakpad",
  "--disable-crash-reporter",
  "--disable-client-side-phishing-detection",
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
  "--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider",
  "--metrics-recording-only",
  "--mute-audio",
  "--no-pings",
  "--password-store=basic",
];

/** Without an adapter of the machine's: a real one would make tests depend on it. */
export const GPU_FLAGS = [
  ...FLAGS.filter((flag) => flag !== "--disable-gpu"),
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
];

/** A killed process is gone at once; its profile may be written to until then. */
const END_LIMIT_MS = 5_000;

/**
 * @param options `chromium`, the program; `setting` and `mounts`, as servePage takes them; `limitMs`;
 *   with `gpu`, the page has WebGPU, by Chromium's driver for CPUs
 * @returns `answer`, what the page sent; `ms`, from the start of the browser's process until it
 *   came; `rssMb`, the renderer's peak (undefined where there is no /proc).
 * @throws Error with the page's error, when the browser ends by itself, and at the time limit.
 */
export async function runPage({ chromium, setting, mounts, limitMs, gpu = false }) {
  const profile = mkdtempSync(join(tmpdir(), "pronk-chromium-"));
  const server = await servePage(setting, mounts);
  const flags = gpu ? GPU_FLAGS : FLAGS;
  const args = [...flags, ...rootFlags(), `--user-data-dir=${profile}`, server.url];
  const [program, ...rest] = endingWithParent([chromium, ...args]);
  const started = performance.now();
  const child = spawn(program, rest, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    said = (said + text).slice(-4000);
  });
  const ended = new Promise((_, reject) => {
    child.once("error", reject).once("exit", (code, signal) => {
      reject(new Error(`chromium: ended with ${signal ?? code}: ${said.trim().slice(-400)}`));
    });
  });
  ended.catch(() => {});
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`page: no answer in ${limitMs / 1000} s`)), limitMs);
  });
  try {
    const answer = await Promise.race([server.answer, ended, late]);
    const ms = performance.now() - started;
    return { answer, ms, rssMb: rendererPeakMb(child.pid) };
  } finally {
    clearTimeout(timer);
    await endBrowser(child);
    await server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/** Where util-linux is: also when this process is killed, and has no chance to clean up. */
export function endingWithParent(line) {
  const setpriv = ["setpriv", "--pdeathsig", "KILL", "--"];
  const works = spawnSync(setpriv[0], [...setpriv.slice(1), "true"], { stdio: "ignore" });
  return works.status === 0 ? [...setpriv, ...line] : line;
}

/** With all of its processes. */
export async function endBrowser(child) {
  if (child.pid === undefined) return;
  const tree = processTree(child.pid);
  for (const pid of tree) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended with its parent.
    }
  }
  const limit = performance.now() + END_LIMIT_MS;
  while (tree.some(isRunning) && performance.now() < limit) await sleep(20);
}
