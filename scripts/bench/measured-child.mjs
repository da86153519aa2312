// A contender's process: pinned, ended when it takes too long, watched for what it had to wait.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** Threads come and go; their counters are read this often. */
const SAMPLE_MS = 250;

/**
 * Runs it to its end.
 *
 * @returns `out`, what it printed, and `waited`: the share of the time in which its busiest thread
 *   could have run and had no core (0 to 1; undefined where the system does not say). A gauge of
 *   how much else the machine did.
 */
export async function runMeasured({ label, program, args }, { core, limitMs }) {
  const pin = core === undefined ? [] : ["taskset", "-c", `${core}`];
  const [file, ...rest] = [...pin, program, ...args];
  const child = spawn(file, rest, { stdio: ["ignore", "pipe", "inherit"] });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    for (const pid of processTree(child.pid).reverse()) killQuietly(pid);
  }, limitMs);
  const threads = new Map();
  const sampler = setInterval(() => sampleThreads(child.pid, threads), SAMPLE_MS);
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    out += text;
  });
  try {
    const code = await new Promise((resolve, reject) => {
      child.once("error", reject).once("close", resolve);
    });
    if (late) throw new Error(`${label}: not done in ${limitMs / 1000} s`);
    if (code !== 0) throw new Error(`${label}: exit code ${code}`);
    return { out, waited: waitShare(threads) };
  } finally {
    clearTimeout(timer);
    clearInterval(sampler);
  }
}

/**
 * Keeps the last counters of each thread, those of the processes that it started included:
 * nanoseconds on a core, and waiting for one.
 */
function sampleThreads(root, threads) {
  for (const pid of processTree(root)) {
    try {
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const stat = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1");
        const [ran, waited] = stat.split(" ").map(Number);
        threads.set(thread, { ran, waited });
      }
    } catch {
      // A thread that has just ended, or not Linux.
    }
  }
}

/** The process and all below it; parents first. Only itself where this is not Linux. */
export function processTree(pid) {
  const found = [pid];
  for (let i = 0; i < found.length; i++) {
    try {
      for (const thread of readdirSync(`/proc/${found[i]}/task`)) {
        const children = readFileSync(`/proc/${found[i]}/task/${thread}/children`, "latin1");
        found.push(...children.split(" ").filter(Boolean).map(Number));
      }
    } catch {
      // One that has just ended, or not Linux.
    }
  }
  return found;
}

function killQuietly(pid) {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

function waitShare(threads) {
  const [busiest] = [...threads.values()].sort((a, b) => b.ran - a.ran);
  return busiest && busiest.waited / (busiest.ran + busiest.waited);
}
