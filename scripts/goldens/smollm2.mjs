// Reduces the golden outputs of SmolLM2-135M-Instruct (Q4_1) to what tests/parity reads.
//   node scripts/goldens/smollm2.mjs GOLDENS_FOLDER
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const from = process.argv[2];
if (!from) throw new Error("usage: node scripts/goldens/smollm2.mjs GOLDENS_FOLDER");
const to = new URL("../../tests/goldens/smollm2/", import.meta.url);

const { meta, chats, perplexity } = JSON.parse(
  readFileSync(join(from, "real/smollm2.json"), "utf8"),
);
const golden = {
  meta,
  chats: chats.map(({ messages, rendered, prompt_ids, greedy_ids, steps }) => ({
    messages,
    rendered,
    prompt_ids,
    greedy_ids,
    steps,
  })),
  perplexity,
};
writeFileSync(new URL("golden.json", to), `${JSON.stringify(golden)}\n`);
writeFileSync(new URL("ppl_text.txt", to), readFileSync(join(from, "real/ppl_text.txt")));
