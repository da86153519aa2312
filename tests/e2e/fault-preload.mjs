// Loaded before the command under test on Node: counts what it does to files and what it asks servers, and at one of these
// points kills the process, tears a write in two, or has the system refuse. FAULTS is JSON: { trace, under, at, do }.
//   trace  where each point is written, a line of "OPERATION PATH" each, also where nothing is done: PATH is from `under` on,
//          without what makes a temporary name unique, and " #2" follows where it is the second time
//   under  only paths that begin so count, and requests
//   at     such a line, or the number of the point, from 0: what a command does side by side has no order
//   do     "kill-before", "kill-after", "tear" (half of a write, then killed) or a code: ENOSPC, EACCES, EROFS, EMFILE, EIO
import { appendFileSync, promises } from "node:fs";
import { createRequire, syncBuiltinESMExports } from "node:module";

const { trace, under, at, do: what } = JSON.parse(process.env.FAULTS);
const fs = createRequire(import.meta.url)("node:fs/promises");
const paths = new WeakMap();
const times = new Map();
let points = 0;

const MESSAGES = {
  ENOSPC: "no space left on device",
  EACCES: "permission denied",
  EROFS: "read-only file system",
  EMFILE: "too many open files",
  EIO: "i/o error",
};

const die = () => process.kill(process.pid, "SIGKILL");

function refusal(syscall, path) {
  const error = new Error(`${what}: ${MESSAGES[what]}, ${syscall} '${path}'`);
  return Object.assign(error, { code: what, syscall, path, errno: -1 });
}

/** A temporary name has a process's tag: `manifest.json.04115b94-11974-f4a4e152-9.tmp`. */
function lineOf(operation, path) {
  const place = path.slice(under.length).replaceAll(/\.[0-9a-f]{8}-\d+-[^./]*/g, "");
  const line = `${operation} ${place}`;
  const count = (times.get(line) ?? 0) + 1;
  times.set(line, count);
  return count === 1 ? line : `${line} #${count}`;
}

/** Runs one operation, unless this is the point at which something happens. */
async function point(operation, path, run, tear) {
  if (!String(path).startsWith(under)) return run();
  const number = points++;
  const line = lineOf(operation, String(path));
  if (trace) appendFileSync(trace, `${line}\n`);
  if ((line !== at && number !== at) || what === undefined) return run();
  if (what === "kill-before") die();
  else if (what === "tear") {
    await tear?.();
    die();
  } else if (what === "kill-after") {
    await run();
    die();
  } else throw refusal(operation, path);
}

const handlePrototype = async () => {
  const file = await fs.open(new URL(import.meta.url), "r");
  const prototype = Object.getPrototypeOf(file);
  await file.close();
  return prototype;
};

const proto = await handlePrototype();
for (const name of ["write", "sync", "close", "truncate"]) {
  const original = proto[name];
  proto[name] = function (...args) {
    const path = paths.get(this) ?? "";
    const half = () => {
      const [bytes, offset = 0, length = bytes.length - offset, position] = args;
      return original.call(this, bytes, offset, Math.floor(length / 2), position);
    };
    return point(name, path, () => original.apply(this, args), name === "write" ? half : undefined);
  };
}
const open = fs.open;
fs.open = (path, flags = "r", ...rest) => {
  const run = async () => {
    const file = await open(path, flags, ...rest);
    paths.set(file, String(path));
    return file;
  };
  // What is only read is no point of the write path; folders are opened to be synced.
  return flags === "r" ? run() : point("open", path, run);
};
for (const name of [
  "mkdir",
  "rename",
  "unlink",
  "rm",
  "link",
  "symlink",
  "copyFile",
  "utimes",
  "cp",
  "writeFile",
  "appendFile",
]) {
  const original = fs[name];
  const target = ["rename", "link", "symlink", "copyFile", "cp"].includes(name) ? 1 : 0;
  fs[name] = (...args) => point(name, args[target], () => original(...args));
}
void promises;
syncBuiltinESMExports();

if (under.startsWith("http")) {
  const { fetch } = globalThis;
  globalThis.fetch = (input, init) => {
    const url = typeof input === "string" ? input : (input.url ?? String(input));
    const method = init?.method ?? input.method ?? "GET";
    return point(method, url, () => fetch(input, init));
  };
}
