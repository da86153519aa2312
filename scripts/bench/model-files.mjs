// The model's file, the same model in further formats, and the pack that pronk makes of each.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { basename, join } from "node:path";
import { COLD_QUESTION } from "../../dist/src/cli/bench-workload.js";
import { REQUANTIZED_TYPES, requantize } from "./requantize.mjs";

export const MODEL = "smollm2-135m-instruct";

const LIMIT_MS = 10 * 60_000;

/**
 * The file given, then the same weights as Q4_0 and Q8_0 where it is neither.
 *
 * @returns `chatIds` and `files`, each `{ format, given, model, pack, manifest }`: paths but for the
 *   manifest. Further formats are made anew for every other file, under .cache/bench-peers.
 */
export async function prepareFiles(root, name = MODEL) {
  const cli = (args) =>
    execFileSync(process.execPath, [join(root, "dist", "src", "cli", "main.js"), ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
      timeout: LIMIT_MS,
    });
  const model = existsSync(name) ? name : cli(["pull", name]).trim();
  const cache = join(root, ".cache", "bench-peers");
  const packed = (path, folder) => {
    const { path: pack } = JSON.parse(cli(["pack", path, "--out", folder, "--json"]));
    return { pack, manifest: JSON.parse(readFileSync(join(pack, "manifest.json"), "utf8")) };
  };

  const given = packed(model, join(cache, "pack"));
  const format = JSON.parse(cli(["inspect", model, "--tensors", "--json"])).tensors;
  const files = [{ format: mainType(format), given: true, model, ...given }];
  const { sha256, bytes } = given.manifest.source;
  const folder = join(cache, "formats", sha256?.slice(0, 16) ?? `${bytes}`);
  mkdirSync(folder, { recursive: true });
  for (const type of REQUANTIZED_TYPES) {
    if (type === files[0].format) continue;
    const stem = basename(model, ".gguf").replace(`.${files[0].format}`, "");
    const path = join(folder, `${stem}.${type}.gguf`);
    if (!existsSync(path)) {
      await requantize(model, type, `${path}.part`);
      renameSync(`${path}.part`, path);
    }
    files.push({ format: type, given: false, model: path, ...packed(path, join(folder, type)) });
  }
  const { prompt_ids: chatIds } = JSON.parse(
    cli(["run", given.pack, "--chat", COLD_QUESTION, "--max-tokens", "1", "--json"]),
  );
  return { files, chatIds };
}

/** The type of most bytes of the layers' matrices: what such a file is called. */
function mainType(tensors) {
  const bytes = new Map();
  for (const { name, type, bytes: size } of tensors) {
    if (name.includes("layers.")) bytes.set(type, (bytes.get(type) ?? 0) + size);
  }
  return [...bytes].sort((a, b) => b[1] - a[1])[0][0];
}
