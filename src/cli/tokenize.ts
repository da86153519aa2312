/** pronk tokenize: text from stdin to ids, and back. */
import { planModel } from "../engine/load-model.ts";
import { PronkError } from "../errors.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { flagOption } from "./arguments.ts";
import type { Command } from "./command.ts";
import { JSON_OPTION, openForCommand, WEIGHT_OPTIONS } from "./model-options.ts";
import { answerText, jsonLine } from "./terminal/visible-text.ts";

export const tokenize: Command = {
  name: "tokenize",
  group: "Look inside",
  summary: "turn text from stdin into token ids, or ids into text",
  examples: [
    {
      line: 'echo "Hello llama" | pronk tokenize',
      does: "the ids of a text",
    },
    {
      line: 'echo "19556 1592" | pronk tokenize --decode',
      does: "the text of ids",
    },
    {
      line: 'echo "Hello" | pronk tokenize model.gguf --json',
      does: "ids, tokens, and where each stands in the text",
    },
  ],
  positionals: "[MODEL] < TEXT",
  maxPositionals: 1,
  options: {
    "add-special": { type: "boolean", help: "add BOS and EOS as the model's tokenizer does" },
    "parse-special": { type: "boolean", help: "read <|im_start|> and the like as one token" },
    decode: { type: "boolean", help: "read ids, separated by spaces or commas, and write text" },
    ...WEIGHT_OPTIONS,
    ...JSON_OPTION,
  },
  async run(input, cli): Promise<void> {
    const named = await openForCommand(input, cli);
    let tokenizer: Tokenizer | undefined;
    try {
      const { model } = await planModel(named.input, { signal: cli.signal });
      tokenizer = await model.loadTokenizer(cli.signal);
      if (!tokenizer) throw new PronkError("unsupported", `${model.facts.name}: has no tokenizer`);
    } finally {
      await named.close();
    }
    const text = await cli.readStdin();
    const json = flagOption(input, "json");
    if (flagOption(input, "decode")) {
      const ids = parseIds(text);
      const decoded = tokenizer.decode(ids);
      cli.out(json ? jsonLine({ ids, text: decoded }) : answerText(decoded, cli));
      return;
    }
    const { ids, offsets } = tokenizer.encodeWithOffsets(text, {
      addSpecialTokens: flagOption(input, "add-special"),
      parseSpecial: flagOption(input, "parse-special"),
    });
    if (!json) return cli.out(`${ids.join(" ")}\n`);
    const tokens = ids.map((id) => tokenizer.tokenText(id));
    cli.out(jsonLine({ ids, tokens, offsets }));
  },
};

/** `1 2,3` or `[1, 2, 3]`. */
function parseIds(text: string): number[] {
  const words = text.split(/[\s,[\]]+/).filter(Boolean);
  return words.map((word) => {
    if (!/^\d{1,9}$/.test(word)) throw new PronkError("bad_request", `stdin: ${word} is no id`);
    return Number(word);
  });
}
