// lm-evaluation-harness against `pronk serve`: its log-likelihoods are those of engine.scoreContinuations.
//
//   node scripts/lm-eval.mjs        needs the build; the model is PRONK_TEST_MODEL's file, else pulled
//
// The harness comes from PyPI, pinned, by pip into .cache/lm-eval; a second run installs nothing. It asks as its
// local-completions model does: tokens from /tokenize, log-likelihoods from /v1/completions with echo.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createEngine } from "../dist/src/platform/node/index.js";

const HARNESS = "lm-eval[api]==0.4.13";
/** Between the harness's numbers and ours, in nats. */
const TOLERANCE = 1e-4;
const INSTALL_MS = 15 * 60_000;
const RUN_MS = 10 * 60_000;

const root = fileURLToPath(new URL("..", import.meta.url));
const cache = join(root, ".cache", "lm-eval");
const tasks = join(root, "scripts", "lm-eval");
const pronk = join(root, "dist", "src", "cli", "main.js");
const model =
  process.env.PRONK_TEST_MODEL ||
  execFileSync(process.execPath, [pronk, "pull", "smollm2-135m-instruct"], {
    encoding: "utf8",
    timeout: INSTALL_MS,
  }).trim();

const packages = join(cache, "packages");
if (!existsSync(join(packages, "lm_eval-0.4.13.dist-info"))) {
  rmSync(packages, { recursive: true, force: true });
  execFileSync(
    "python3",
    ["-m", "pip", "install", "--quiet", "--no-input", "--target", packages, HARNESS],
    { stdio: ["ignore", "inherit", "inherit"], timeout: INSTALL_MS },
  );
}

const server = spawn(process.execPath, [pronk, "serve", model, "--port", "0", "--ctx", "512"], {
  stdio: ["ignore", "pipe", "inherit"],
});
let status = 1;
try {
  const url = await listening(server);
  const { data } = await (await fetch(`${url}/v1/models`)).json();
  const out = join(cache, "results");
  rmSync(out, { recursive: true, force: true });
  await run("python3", [
    ...["-m", "lm_eval", "--model", "local-completions", "--include_path", tasks],
    ...[
      "--tasks",
      "pronk_choices,pronk_texts",
      "--log_samples",
      "--output_path",
      out,
      "--batch_size",
      "4",
    ],
    "--model_args",
    `model=${data[0].id},base_url=${url}/v1/completions,tokenizer_backend=remote,max_length=511`,
  ]);
  status = await compare(out);
} finally {
  server.kill();
}
process.exit(status);

/** The address that it says it listens on. */
async function listening(child) {
  const timer = setTimeout(() => child.kill(), 120_000);
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const [url] = /http:\/\/[\w.:[\]]+/.exec(line) ?? [];
      if (url) return url;
    }
    throw new Error("pronk serve ended before it listened");
  } finally {
    clearTimeout(timer);
  }
}

/** Asynchronous, so that the server's output is read meanwhile. */
function run(program, args) {
  const child = spawn(program, args, {
    cwd: tasks,
    stdio: ["ignore", "inherit", "inherit"],
    timeout: RUN_MS,
    env: {
      ...process.env,
      PYTHONPATH: packages,
      OPENAI_API_KEY: "none",
      HF_DATASETS_OFFLINE: "1",
      HF_HUB_OFFLINE: "1",
      TQDM_DISABLE: "1",
      HF_HOME: join(cache, "hf"),
    },
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`${program}: ${code}`))));
  });
}

/** 0 where every number agrees. */
async function compare(out) {
  const samples = (task) => {
    const files = readdirSync(out, { recursive: true }).map((file) => join(out, file));
    const file = files.find((name) => name.includes(`samples_${task}_`));
    if (!file) throw new Error(`${out}: no samples of ${task}`);
    return readFileSync(file, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  };
  const asked = [
    ...samples("pronk_choices").flatMap(({ arguments: rows, resps }) =>
      Object.values(rows).map(({ arg_0: prompt, arg_1: continuation }, i) => {
        const [[logprob, isGreedy]] = resps[i];
        return { prompt, continuation, logprob, isGreedy };
      }),
    ),
    ...samples("pronk_texts").map(({ arguments: rows, resps: [[logprob]] }) => ({
      prompt: "",
      continuation: Object.values(rows)[0].arg_0,
      logprob: Array.isArray(logprob) ? logprob[0] : logprob,
    })),
  ];
  const engine = await createEngine(model, { ctx: 512 });
  const scores = await engine.scoreContinuations(
    asked.map(({ prompt, continuation }) => ({ prompt, continuation })),
  );
  await engine.dispose();
  let largest = 0;
  let wrong = 0;
  for (const [i, { prompt, continuation, logprob, isGreedy }] of asked.entries()) {
    const { logprob: own, is_greedy } = scores[i];
    const difference = Math.abs(own - Number(logprob));
    largest = Math.max(largest, difference);
    const isSame = isGreedy === undefined || /true/i.test(String(isGreedy)) === is_greedy;
    if (difference <= TOLERANCE && isSame) continue;
    wrong++;
    console.error(
      `${JSON.stringify(prompt + continuation)}: ${logprob} ${isGreedy}, ${own} ${is_greedy}`,
    );
  }
  const greedy = scores.filter(({ is_greedy }) => is_greedy).length;
  console.log(
    `${asked.length} log-likelihoods, ${greedy} of them greedy: largest difference ${largest}, ${wrong} wrong`,
  );
  return asked.length === 80 && greedy > 0 && wrong === 0 ? 0 : 1;
}
