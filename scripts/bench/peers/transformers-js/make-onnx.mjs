// The model as ONNX: registries have none, so Python makes it of the GGUF file, once.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

/** numpy comes with them. */
const PACKAGES = ["gguf==0.19.0", "onnx==1.23.2", "onnx_ir==1.1.0", "onnxruntime==1.31.1"];

const INSTALL_LIMIT_MS = 10 * 60_000;
const CONVERT_LIMIT_MS = 5 * 60_000;

/**
 * @param folder where the peer is installed
 * @returns the folder of config.json and onnx/
 * @throws Error saying which package is missing
 */
export function makeOnnx(folder, model) {
  const script = fileURLToPath(new URL("./onnx_from_gguf.py", import.meta.url));
  const stem = basename(model, ".gguf");
  const folders = join(folder, "onnx");
  const out = join(folders, `${stem}-${conversionKey(script, model)}`);
  if (existsSync(out)) return out;
  const python = join(pythonEnvironment(folder), "bin", "python");
  const unfinished = `${out}.unfinished`;
  mkdirSync(folders, { recursive: true });
  // Of other conversions: 0.9 GB each.
  for (const old of readdirSync(folders).filter((name) => name.startsWith(`${stem}-`))) {
    rmSync(join(folders, old), { recursive: true });
  }
  mkdirSync(unfinished);
  process.stderr.write(`transformers-js: makes ONNX files of ${basename(model)}\n`);
  execFileSync(python, [script, model, unfinished], {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: CONVERT_LIMIT_MS,
  });
  renameSync(unfinished, out);
  return out;
}

/** Another file, or another way to convert it, is another model. */
function conversionKey(script, model) {
  const hash = createHash("sha256").update(JSON.stringify(PACKAGES));
  for (const file of [script, model]) hash.update(readFileSync(file));
  return hash.digest("hex").slice(0, 16);
}

/** A virtual environment with the packages, made once. */
function pythonEnvironment(folder) {
  const environment = join(folder, "python");
  const list = join(environment, "packages.json");
  const wanted = JSON.stringify(PACKAGES);
  if (existsSync(list) && readFileSync(list, "utf8") === wanted) return environment;
  try {
    execFileSync("python3", ["-m", "venv", "--clear", environment], {
      stdio: ["ignore", "ignore", "pipe"],
      timeout: INSTALL_LIMIT_MS,
    });
  } catch (cause) {
    const why = "no virtual environment; install the packages python3 and python3-venv";
    throw new Error(`transformers-js: ${why}`, { cause });
  }
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...PACKAGES];
  execFileSync(join(environment, "bin", "python"), pip, {
    stdio: ["ignore", "ignore", "inherit"],
    timeout: INSTALL_LIMIT_MS,
  });
  writeFileSync(list, wanted);
  return environment;
}
