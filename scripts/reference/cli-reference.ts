/** docs/reference/cli.md, from the data that the commands' own help is made of. */
import { COMMON_OPTIONS } from "../../src/cli/arguments.ts";
import { COMMAND_GROUPS, type Command, type OptionSpecs } from "../../src/cli/command.ts";

/** Heading of options that have no group. */
const OWN = "";

export function cliReference(commands: readonly Command[]): string {
  const groups = COMMAND_GROUPS.map((group) => ({
    group,
    own: commands.filter((command) => command.group === group),
  })).filter(({ own }) => own.length > 0);
  const rows = groups.flatMap(({ group, own }) =>
    own.map(
      ({ name, summary }) =>
        `| [\`pronk ${name}\`](#pronk-${name}) | ${cell(summary)} | ${group} |`,
    ),
  );
  const sections = groups.map(
    ({ group, own }) => `## ${group}\n\n${own.map(commandText).join("\n")}`,
  );
  return `# Command line

What \`pronk help COMMAND\` shows, on one page. \`npx pronk\` runs it where the package is installed.
MODEL is a known name, \`hf:OWNER/REPO[@REVISION][:FILE or quantization]\`, a path (GGUF, pack, a directory of Hugging Face, Meta, PyTorch, Flax or fairseq2),
an https:// URL (with \`#sha256=HEX\` that file and no other) or s3://BUCKET/PREFIX of a pack; by default \`PRONK_MODEL\`, else \`smollm2-135m-instruct\` ([all variables](environment.md)).
Exit codes: 0, 1 when something failed, 2 when it was called wrongly, 130 when it was interrupted.

| command | | |
|---|---|---|
${rows.join("\n")}

Every command has these, too:

${optionTable(Object.entries(COMMON_OPTIONS))}
${sections.join("\n")}`;
}

function commandText({ name, summary, positionals, examples, options }: Command): string {
  const usage = ["pronk", name, positionals, "[options]"].filter(Boolean).join(" ");
  const shown = examples.map(({ line, does }) => `| \`${cell(line)}\` | ${cell(does)} |`);
  const headings = [...new Set(Object.values(options).map(({ group = OWN }) => group))];
  // A command's own options first.
  headings.sort((a, b) => Number(a !== OWN) - Number(b !== OWN));
  const tables = headings.map((heading) => {
    const own = Object.entries(options).filter(([, { group = OWN }]) => group === heading);
    return `${heading === OWN ? "" : `${heading}:\n\n`}${optionTable(own)}`;
  });
  return [
    `### pronk ${name}\n\n${sentence(summary)}\n\n\`${usage}\`\n`,
    ...(shown.length > 0 ? [`| example | |\n|---|---|\n${shown.join("\n")}\n`] : []),
    ...tables,
  ].join("\n");
}

function optionTable(options: readonly (readonly [string, OptionSpecs[string]])[]): string {
  const rows = options.map(([name, { value, help, short, multiple }]) => {
    const names = [...(short === undefined ? [] : [`-${short}`]), `--${name}`];
    const said = `${help}${multiple && !/times/.test(help) ? " (several times)" : ""}`;
    return `| \`${names.join(", ")}${value === undefined ? "" : ` ${cell(value)}`}\` | ${cell(said)} |`;
  });
  return `| option | |\n|---|---|\n${rows.join("\n")}\n`;
}

const sentence = (text: string): string => `${text[0]?.toUpperCase()}${text.slice(1)}.`;

/** A table's cell cannot hold a bar or a line's end, and takes \`<\` for an element outside code. */
const cell = (text: string): string =>
  text.replaceAll("|", "\\|").replaceAll("\n", " ").replaceAll("<", "&lt;");
