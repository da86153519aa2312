/** pronk snapshot: the keys and values of a system message or a text, as a file. */
import { readFile } from "node:fs/promises";
import { PronkError } from "../errors.ts";
import { writeFileAtomically } from "../platform/host/atomic-file.ts";
import { saveChatSnapshot } from "../server/chat-snapshot.ts";
import { textOption, UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { LORA_OPTION } from "./lora-options.ts";
import { engineForCommand, MODEL_OPTIONS } from "./model-options.ts";

export const snapshot: Command = {
  name: "snapshot",
  group: "Put it online",
  summary: "keep what a model makes of a system message, for --snapshot and Workers",
  examples: [
    {
      line: "pronk snapshot --system system.txt --out system.snapshot",
      does: "read a long system message once and keep what came of it",
    },
    {
      line: 'pronk run --snapshot system.snapshot --system "$(cat system.txt)" --chat "Hi" --max-tokens 4',
      does: "a start that does not read it again",
    },
  ],
  positionals: "[MODEL] --system FILE | --prompt FILE --out FILE",
  maxPositionals: 1,
  options: {
    system: { type: "string", value: "FILE", help: "a system message" },
    prompt: { type: "string", value: "FILE", help: "or a text that prompts begin with" },
    out: { type: "string", value: "FILE", help: "what is written" },
    ...MODEL_OPTIONS,
    ...LORA_OPTION,
  },
  async run(input, cli): Promise<void> {
    const system = textOption(input, "system");
    const prompt = textOption(input, "prompt");
    const out = textOption(input, "out");
    if ((system === undefined) === (prompt === undefined)) {
      throw new UsageError("one of --system FILE and --prompt FILE is needed");
    }
    if (!out) throw new UsageError("--out FILE is missing");
    const path = system ?? prompt ?? "";
    const text = await readFile(path, "utf8").catch((cause: Error) => {
      throw new PronkError("not_found", `${path}: ${cause.message}`, { cause });
    });
    const engine = await engineForCommand(input, cli, { slots: 1, speculate: "off" });
    const { signal } = cli;
    try {
      const bytes =
        system === undefined
          ? await engine.saveSnapshot(
              { prompt_ids: engine.tokenizer.encode(text, { parseSpecial: true }) },
              { signal },
            )
          : await saveChatSnapshot(engine, [{ role: "system", content: text }], { signal });
      const { tokens } = await engine.loadSnapshot(bytes);
      await writeFileAtomically(out, bytes);
      const size = (bytes.length / 1e6).toFixed(1);
      cli.out(`${out}: ${tokens} tokens of ${engine.info.id}, ${size} MB\n`);
    } finally {
      await engine.dispose();
    }
  },
};
