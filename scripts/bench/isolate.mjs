// How soon a Worker that has just started says its first token, phase by phase, with the model in R2; beside a
// process of Node with the same pack in a folder. And the Worker's script: its size, and the CPU that its start takes.
//
//   npm run bench -- isolate [PACK] [--rounds N] [--json] [--write]
//
// PACK is a directory; by default the small form of SmolLM2 is packed, and the forms that fit an isolate are compared (its
// model's file has to lie here: PRONK_TEST_MODEL, else it is pulled). Local workerd, whose R2 simulator is in the
// same process: storage far away is slower, and clocks do not run in deployed Workers.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { COLD_QUESTION, spreadOf } from "../../dist/src/cli/bench-workload.js";
import { startWorkerd } from "../../dist/src/cli/workerd.js";
import { measureForms } from "./isolate-forms.mjs";
import { isolateTables } from "./isolate-report.mjs";
import { describeMachine } from "./machine.mjs";
import { writeSection } from "./page.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const LIMIT_MS = 120_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    json: { type: "boolean" },
    write: { type: "boolean" },
  },
});
const rounds = Number(values.rounds);

const program = (args) =>
  execFileSync(process.execPath, args, {
    cwd: root,
    encoding: "utf8",
    timeout: LIMIT_MS,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      CI: "1",
      WRANGLER_SEND_METRICS: "false",
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
    },
  });
const pronk = (...args) => JSON.parse(program(["dist/src/cli/main.js", ...args, "--json"]));
const wrangler = (...args) => program(["node_modules/wrangler/bin/wrangler.js", ...args]);

const folder = mkdtempSync(join(tmpdir(), "pronk-isolate-"));
try {
  const model = process.env.PRONK_TEST_MODEL ?? pronk("pull", "smollm2-135m-instruct").path;
  const pack =
    positionals[0] ?? pronk("pack", model, "--budget", "128MB", "--out", join(folder, "pack")).path;
  const bucketFolder = join(folder, "r2");
  const filled = await startWorkerd("cloudflare", pack, { bucketFolder });
  await filled.close();
  const workerd = [];
  const node = [];
  for (let round = 0; round < rounds; round++) {
    workerd.push(await inWorkerd(pack, bucketFolder));
    node.push(inNode(pack));
  }
  const starts = Array.from({ length: rounds }, startCpuMs);
  const document = {
    machine: describeMachine(),
    date: new Date().toISOString().slice(0, 10),
    rounds,
    node_version: process.versions.node,
    workerd_version: filled.version,
    workerd: spreads(workerd),
    node: spreads(node),
    script: { gzip_bytes: scriptBytes(), start_cpu_ms: spreadOf(starts) },
    ...(positionals.length === 0 && { fitting: measureForms(model, folder, rounds) }),
  };
  if (values.write) for (const path of writeSection("isolate", document)) console.error(path);
  console.log(values.json ? JSON.stringify(document) : isolateTables(document));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** The first request of a Worker that has loaded nothing. */
async function inWorkerd(pack, bucketFolder) {
  const { url, close } = await startWorkerd("cloudflare", pack, { bucketFolder });
  try {
    const from = performance.now();
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      signal: AbortSignal.timeout(LIMIT_MS),
      body: JSON.stringify({
        messages: [{ role: "user", content: COLD_QUESTION }],
        model: "smollm2-135m-instruct",
        temperature: 0,
        max_tokens: 2,
        ignore_eos: true,
        stream: true,
      }),
    });
    const text = new TextDecoder();
    let all = "";
    let total = 0;
    for await (const chunk of response.body) {
      all += text.decode(chunk, { stream: true });
      if (total === 0 && /"content":"[^"]/.test(all)) total = performance.now() - from;
    }
    const { timings } = JSON.parse(
      all
        .split("\n\n")
        .findLast((event) => event.includes('"timings"'))
        .slice("data: ".length),
    );
    const { loading } = await (await fetch(`${url}/health`)).json();
    return phases(loading, timings.prompt_ms, total);
  } finally {
    await close();
  }
}

function inNode(pack) {
  const { cold_start: cold } = pronk(
    ...["run", pack, "--chat", COLD_QUESTION, "--max-tokens", "1", "--temperature", "0"],
    ...["--ctx", "1024"],
  );
  return phases(cold, cold.prompt_ms, cold.first_token_ms);
}

/** What is none of these is the rest. */
function phases(
  { open_ms, kernel_ms, memory_ms, tokenizer_ms, read_ms, verify_ms },
  prefill,
  total,
) {
  const known = open_ms + kernel_ms + memory_ms + tokenizer_ms + read_ms + verify_ms + prefill;
  return {
    total,
    read: read_ms,
    hash: verify_ms,
    prefill,
    kernels: kernel_ms,
    prepare: open_ms + memory_ms + tokenizer_ms,
    rest: total - known,
  };
}

function spreads(samples) {
  return Object.fromEntries(
    Object.keys(samples[0]).map((name) => [name, spreadOf(samples.map((one) => one[name]))]),
  );
}

/** As it is deployed: minified, without the kernels. */
function scriptBytes() {
  const out = join(folder, "script");
  wrangler("deploy", "--dry-run", "--outdir", out);
  return gzipSync(readFileSync(join(out, "cloudflare.js"))).length;
}

/** Of a profile of the script's start, all that is not idle. */
function startCpuMs() {
  const file = join(folder, "start.cpuprofile");
  wrangler("check", "startup", "--outfile", file);
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, "utf8"));
  const idle = nodes.find(({ callFrame }) => callFrame.functionName === "(idle)")?.id;
  return samples.reduce((sum, id, i) => sum + (id === idle ? 0 : timeDeltas[i]), 0) / 1000;
}
