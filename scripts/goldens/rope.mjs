// Reduces the golden rope frequencies to the scalings that run.
//   node scripts/goldens/rope.mjs GOLDENS_FOLDER
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const NAMES = ["llama1@8", "llama3@8", "codellama@8", "llama3.1@8", "llama3.2_hd64@8", "linear@8"];

const from = process.argv[2];
if (!from) throw new Error("usage: node scripts/goldens/rope.mjs GOLDENS_FOLDER");
const to = new URL("../../tests/goldens/rope/", import.meta.url);
mkdirSync(to, { recursive: true });

const { cases } = JSON.parse(readFileSync(join(from, "rope/rope.json"), "utf8"));
const kept = cases
  .filter(({ name }) => NAMES.includes(name))
  .map(({ name, config, head_dim, attention_scaling, inv_freq }) => ({
    name,
    config,
    head_dim,
    attention_scaling,
    inv_freq,
  }));
writeFileSync(new URL("rope.json", to), `${JSON.stringify(kept)}\n`);
