/** pronk attn-mask: which token of a text attends to which. */
import { planModel } from "../engine/load-model.ts";
import { PronkError } from "../errors.ts";
import { AttentionMaskVisualizer } from "../llama/attention-mask-visualizer.ts";
import { flagOption, UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { openSourceForCommand } from "./model-options.ts";

export const attentionMask: Command = {
  name: "attn-mask",
  group: "Look inside",
  summary: "show which token of a text attends to which",
  examples: [
    {
      line: 'pronk attn-mask model.gguf "Hi there"',
      does: "a grid of which token sees which",
    },
    {
      line: 'pronk attn-mask model.gguf "Hi there" --svg > mask.svg',
      does: "the same as a picture",
    },
  ],
  positionals: "MODEL TEXT",
  maxPositionals: 2,
  options: {
    svg: { type: "boolean", help: "write SVG instead of text" },
  },
  async run(input, cli): Promise<void> {
    const [name, text] = input.positionals;
    if (name === undefined || text === undefined) throw new UsageError("MODEL TEXT are needed");
    const named = await openSourceForCommand(input, cli);
    try {
      const { model } = await planModel(named.input, { signal: cli.signal });
      const tokenizer = await model.loadTokenizer(cli.signal);
      if (!tokenizer) throw new PronkError("unsupported", `${name}: has no tokenizer`);
      const visualizer = new AttentionMaskVisualizer({ name, tokenizer });
      cli.out(flagOption(input, "svg") ? visualizer.svg(text) : visualizer.visualize(text));
    } finally {
      await named.close();
    }
  },
};
