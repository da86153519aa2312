// Drives `pronk serve` over a tiny model with schemathesis, by the server's own OpenAPI document:
//
//   node scripts/fuzz-api.mjs [SECONDS]     of each of the two passes, default 80; the seed is fixed
//   node scripts/fuzz-api.mjs --self-test   whether faults are found that a proxy in front of it plants
//
// First the document as it stands, with valid and invalid requests; then the same one with bodies narrowed to
// what reaches the model (its id, one optional field at a time), valid requests alone. No answer may be a
// 5xx, take longer than 20 s, have a status, type or body that is not documented, or pass without the key;
// what breaks a schema has to be refused. Needs the build, Node and python3 with pip.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { narrowed } from "./fuzz-api/narrowed.mjs";
import { FAULTS, startFaultyProxy } from "./fuzz-api/planted-faults.mjs";

const VERSION = "4.32.5";
const PARSER = "prometheus_client==0.23.1";
const SEED = 20261121;
const KEY = "fuzzing";
/** A whole Llama of one layer: 1,256 tokens, 256 positions, Llama 3's chat template. */
const MODEL = "tests/goldens/tokenizers/tok_bpe.gguf";
const INSTALL_MS = 240_000;
const START_MS = 30_000;
/** No answer of this model takes a tenth of it. */
const ANSWER_SECONDS = 20;
/** Fails on what is not the text format. */
const COUNT_FAMILIES = `import sys
from prometheus_client.parser import text_string_to_metric_families
print(len([f.name for f in text_string_to_metric_families(sys.stdin.read())]))`;
/** Of each planted fault, at a route of its own. */
const FAULT_SECONDS = 8;
const isSelfTest = process.argv[2] === "--self-test";
const seconds = isSelfTest ? FAULT_SECONDS : Number(process.argv[2] ?? 80);

const folder = resolve(".cache/fuzz-api");
const schemathesis = join(folder, "bin", "schemathesis");
const env = { ...process.env, PYTHONPATH: folder };

mkdirSync(folder, { recursive: true });
if (!existsSync(join(folder, `schemathesis-${VERSION}.dist-info`))) {
  const packages = ["--upgrade", "--target", folder, `schemathesis==${VERSION}`, PARSER];
  execFileSync("python3", ["-m", "pip", "install", "-q", ...packages], {
    stdio: "inherit",
    timeout: INSTALL_MS,
  });
}

const log = [];
const server = spawn(
  process.execPath,
  [
    "dist/src/cli/main.js",
    "serve",
    MODEL,
    "--port",
    "0",
    "--log",
    "json",
    "--allow-lora-loading",
    "--queue",
    "1000",
  ],
  { env: { ...process.env, PRONK_API_KEYS: KEY }, stdio: ["ignore", "pipe", "pipe"] },
);
server.stderr.setEncoding("utf8").on("data", (text) => log.push(text));
let failed = true;
try {
  const url = await started();
  failed = isSelfTest ? !(await findsFaults(url)) : !(await findsNothing(url));
} finally {
  server.kill();
}
process.exit(failed ? 1 : 0);

/** Whether each planted fault makes a pass fail that succeeds without it. */
async function findsFaults(url) {
  const document = await (await fetch(`${url}/openapi.json`)).json();
  writeFileSync(join(folder, "openapi.json"), JSON.stringify(document));
  const missed = [];
  for (const fault of [undefined, ...FAULTS]) {
    const proxy = await startFaultyProxy(url, KEY, fault);
    const options = [
      ...["--mode", "all", "--phases", "examples,coverage,fuzzing"],
      ...(fault === undefined ? FAULTS : [fault]).flatMap(({ path }) => ["--include-path", path]),
    ];
    const isClean = await pass(
      proxy.url,
      "openapi.json",
      options,
      fault === undefined ? "inherit" : "ignore",
    );
    await proxy.close();
    const isAsExpected = isClean === (fault === undefined);
    console.log(`${isAsExpected ? "ok" : "MISSED"}: ${fault?.name ?? "no fault, and none found"}`);
    if (!isAsExpected) missed.push(fault);
  }
  return missed.length === 0;
}

/** Whether no request, of both passes, is answered otherwise than the document says. */
async function findsNothing(url) {
  const headers = { authorization: `Bearer ${KEY}` };
  const document = await (await fetch(`${url}/openapi.json`)).json();
  const { data } = await (await fetch(`${url}/v1/models`, { headers })).json();
  writeFileSync(join(folder, "openapi.json"), JSON.stringify(document));
  const page = await (await fetch(url)).text();
  const [, file] = /playground\/([\w.-]+\.js)/.exec(page);
  const reached = narrowed(document, data[0].id, file);
  writeFileSync(join(folder, "narrowed.json"), JSON.stringify(reached));

  const asItStands = await pass(url, "openapi.json", ["--mode", "all"]);
  const reaching = await pass(url, "narrowed.json", [
    "--mode",
    "positive",
    "--phases",
    "coverage,fuzzing",
  ]);

  const entries = log
    .join("")
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
  const errors = entries.filter(({ level }) => level === "error");
  const counts = new Map();
  for (const { method, route, status } of entries) {
    const name = `${method} ${route ?? "other"} ${status}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  for (const [name, count] of [...counts].sort())
    console.log(`${String(count).padStart(6)} ${name}`);
  for (const error of errors.slice(0, 5)) console.log(JSON.stringify(error));
  const unreached = unanswered(document, counts);
  console.log(
    `requests: ${entries.length}, failures: ${errors.length}, never answered with success: ${unreached.join(", ") || "none"}`,
  );
  const metrics = await (await fetch(`${url}/metrics`, { headers })).text();
  const families = execFileSync("python3", ["-c", COUNT_FAMILIES], {
    env,
    input: metrics,
    encoding: "utf8",
    timeout: START_MS,
  });
  console.log(`families of metrics that Prometheus' parser reads: ${families.trim()}`);
  const alive = (await fetch(`${url}/health`)).status === 200;
  const isClean = asItStands && reaching && errors.length === 0 && unreached.length === 0;
  return isClean && alive && server.exitCode === null;
}

/** The server's address, from the line that says it is ready. */
function started() {
  return new Promise((take, refuse) => {
    const timer = setTimeout(() => refuse(new Error(`no server: ${log.join("")}`)), START_MS);
    let text = "";
    server.stdout.setEncoding("utf8").on("data", (part) => {
      text += part;
      const [, url] = /at (http:\S+)\/v1/.exec(text) ?? [];
      if (url === undefined) return;
      clearTimeout(timer);
      take(url);
    });
  });
}

/** Whether schemathesis found nothing. */
async function pass(url, file, options, stdio = "inherit") {
  const child = spawn(
    schemathesis,
    [
      ...["run", join(folder, file), "--url", url, "--header", `Authorization: Bearer ${KEY}`],
      // The document cannot say all that a request needs: a model that is there, a grammar that compiles.
      ...["--checks", "all", "--exclude-checks", "positive_data_acceptance"],
      ...[
        "--seed",
        String(SEED),
        "--max-time",
        String(seconds),
        "--request-timeout",
        String(ANSWER_SECONDS),
      ],
      ...["--max-examples", "30", "--continue-on-failure", "--no-shrink", "--warnings", "off"],
      ...["--generation-database", "none", "--suppress-health-check", "all", ...options],
    ],
    { cwd: folder, env, stdio, timeout: (seconds + 120) * 1000 },
  );
  const code = await new Promise((done) => child.on("close", done));
  return code === 0;
}

/** Operations that no request reached the end of: nothing would have been tested. */
function unanswered(document, counts) {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).flatMap((method) => {
      const name = `${method.toUpperCase()} ${path}`;
      // What would need files of adapters, ids that another answer gave, or a model with a head.
      if (/lora_adapter|rerank|\{(?:response_)?id\}/.test(path)) return [];
      return counts.has(`${name} 200`) ? [] : [name];
    }),
  );
}
