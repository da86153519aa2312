// The forms of a model that fit one isolate: what each takes by the plan, what it loses, how fast it decodes.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findRuntime } from "../../dist/src/cli/runtimes.js";
import { pinnedCore } from "./machine.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const main = join(root, "dist/src/cli/main.js");
const BUDGET = "128MB";
const LIMIT_MS = 10 * 60_000;

/** Tokens of a window of a text, as `npm run bench -- quality` has them. */
const WINDOW = "1024";
/** Those that nothing is chosen by. */
const TEXTS = {
  optics: "tests/data/quality/optics.txt",
  manual: "tests/goldens/smollm2/ppl_text.txt",
};

/** What `pronk pack --budget 128MB` is asked for beside. */
const FORMS = [
  { ctx: 1024, options: [] },
  { ctx: 1600, options: [] },
  { ctx: 2048, options: [] },
  { ctx: 2048, options: ["--importance", "tests/data/quality/calibration.txt"] },
];

/**
 * @param folder where packs are written
 * @returns perplexity of the source in f32 by text, and the forms
 */
export function measureForms(model, folder, rounds) {
  const node = findRuntime("node") ?? process.execPath; // the same bits as any, in less time
  const pronk = (...args) =>
    JSON.parse(
      execFileSync(node, [main, ...args, "--json"], {
        cwd: root,
        encoding: "utf8",
        timeout: LIMIT_MS,
        stdio: ["ignore", "pipe", "ignore"],
      }),
    );
  const read = (input, ...options) =>
    Object.fromEntries(
      Object.entries(TEXTS).map(([name, file]) => {
        console.error(`isolate: ${input}: ${name}`);
        return [name, pronk("eval", input, "--text", file, "--ctx", WINDOW, ...options)];
      }),
    );
  const source = read(model, "--quant", "none", "--kv", "f32");
  const forms = FORMS.map(({ ctx, options }, i) => {
    const fit = ["--budget", BUDGET, "--ctx", `${ctx}`];
    const { path } = pronk("pack", model, ...fit, ...options, "--out", join(folder, `form-${i}`));
    const { memory } = pronk("inspect", path, ...fit);
    const { quantization, weight_bytes } = JSON.parse(
      readFileSync(join(path, "manifest.json"), "utf8"),
    );
    const { requested, profile, kv } = quantization;
    return {
      ctx,
      quantization: requested,
      profile,
      kv,
      has_importance: options.length > 0,
      weight_bytes,
      plan_bytes: memory.total,
      texts: read(path),
    };
  });
  const speeds = decodeSpeeds(model, forms, rounds, node);
  return { source, forms: forms.map((form, i) => ({ ...form, decode_tps: speeds[i] })) };
}

/** Of the weights' forms, in turns within a round, on one core. */
function decodeSpeeds(model, forms, rounds, node) {
  const core = pinnedCore();
  const asked = forms.map(({ quantization, profile, kv }) => ({ quantization, profile, kv }));
  const script = join(root, "scripts/bench/quality/speed.mjs");
  const args = [node, script, model, String(rounds), JSON.stringify(asked)];
  const [program, ...rest] = core === undefined ? args : ["taskset", "-c", `${core}`, ...args];
  const out = execFileSync(program, rest, { cwd: root, encoding: "utf8", timeout: LIMIT_MS });
  return JSON.parse(out).speeds.map(({ decode_tps }) => decode_tps);
}
