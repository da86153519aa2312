// A contender that is a page: browser/child.mjs runs it.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromiumVersion, findChromium } from "./find-chromium.mjs";

/**
 * @param head `name`, `peer`, `version` and `weights` of the contender
 * @param page `root`, `reps`; `chat`, the prompt of the cold start as `{ ids, text }`; `page`, the
 *   folder of its page.mjs; `mounts` beside the usual ones; `options`, for its open()
 * @returns the contender; its `greedyArgs`, with a prompt as JSON and a count behind them, print a
 *   greedy answer
 */
export function pageContender(head, { root, reps, chat, page, mounts, options }) {
  const chromium = findChromium();
  const version = chromiumVersion(chromium);
  const setting = {
    peer: head.peer,
    chromium,
    version,
    module: "/peer/page.mjs",
    mounts: { "/dist/": join(root, "dist"), "/peer/": page, ...mounts },
    chat,
    options,
  };
  const child = fileURLToPath(new URL("./child.mjs", import.meta.url));
  return {
    ...head,
    runtime: `Chromium ${version}`,
    weights: `${head.weights}; first token: from the start of a new browser; memory: the renderer's`,
    program: process.execPath,
    args: [child, JSON.stringify(setting), "measure", `${reps}`],
    greedyArgs: [child, JSON.stringify(setting), "greedy"],
  };
}

/** The text of ids, special tokens as they are written. */
export function textOf(root, pack, ids) {
  const pronk = join(root, "dist", "src", "cli", "main.js");
  const out = execFileSync(process.execPath, [pronk, "tokenize", pack, "--decode", "--json"], {
    encoding: "utf8",
    input: ids.join(","),
    stdio: ["pipe", "pipe", "inherit"],
    timeout: 60_000,
  });
  return JSON.parse(out).text;
}
