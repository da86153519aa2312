/** pronk init: a project that runs, for one of the runtimes. */
import { resolve } from "node:path";
import { choiceOption, flagOption, textOption, UsageError } from "./arguments.ts";
import type { Colors } from "./colors.ts";
import type { Arguments, CliContext, Command, LineInput } from "./command.ts";
import { packClone } from "./init/pack-clone.ts";
import { type Scaffold, scaffold } from "./init/scaffold.ts";
import { isTarget, TARGETS, type Target } from "./init/targets.ts";
import { JSON_OPTION } from "./model-options.ts";

const NAMES = Object.keys(TARGETS) as Target[];

export const init: Command = {
  name: "init",
  group: "Put it online",
  summary: "scaffold a project that runs: a Worker, or a server on Deno, Bun or Node",
  examples: [
    { line: "pronk init", does: "asks for the runtime and the folder" },
    { line: "pronk init my-llm --to worker", does: "a Cloudflare Worker, its model in R2" },
    { line: "pronk init my-llm --to deno --json", does: "what was written, and what to type next" },
  ],
  positionals: "[DIR]",
  maxPositionals: 1,
  options: {
    to: { type: "string", value: "T", help: `${NAMES.join("|")}; asked for on a terminal` },
    package: {
      type: "string",
      value: "P",
      help: "what it depends on as pronk: a version, a .tgz or a folder; default: this version",
    },
    ...JSON_OPTION,
  },
  async run(input, cli): Promise<void> {
    const { target, folder } = await ask(input, cli);
    const scaffolded = await scaffold(target, {
      folder: resolve(folder),
      pronk: textOption(input, "package"),
      packClone: (into) => packClone(into, cli.signal),
    });
    const { path, files, next } = scaffolded;
    if (flagOption(input, "json")) {
      cli.out(`${JSON.stringify({ path, to: target, files, next: [`cd ${folder}`, ...next] })}\n`);
    } else cli.out(describe(target, folder, scaffolded, cli.colors.out));
  },
};

function describe(
  target: Target,
  folder: string,
  { files, next }: Scaffold,
  { bold, dim }: Colors,
): string {
  const typed = [...(folder === "." ? [] : [`cd ${folder}`]), ...next];
  return [
    `${bold(folder)}: ${TARGETS[target].what}`,
    ...files.map((file) => dim(`  ${file}`)),
    "",
    "Type next (README.md says more):",
    ...typed.map((line) => `  ${line}`),
    "",
  ].join("\n");
}

/** What was not said on the command line is asked for on a terminal; elsewhere there are defaults. */
async function ask(input: Arguments, cli: CliContext): Promise<{ target: Target; folder: string }> {
  const to = choiceOption(input, "to", NAMES);
  const [dir] = input.positionals;
  const isAsked = (to === undefined || dir === undefined) && !flagOption(input, "json");
  const lines = isAsked ? await cli.openLines() : undefined;
  try {
    const question = lines?.isTerminal === true ? lines : undefined;
    if (question && to === undefined) {
      cli.out("Where does it run?\n");
      for (const [name, { what }] of Object.entries(TARGETS)) {
        cli.out(`  ${name.padEnd(8)} ${what}\n`);
      }
    }
    const target = to ?? (await askTarget(question, cli.host.name));
    const standard = `pronk-${target}`;
    const typed = dir ?? (await answerTo(question, `Folder [${standard}]: `))?.trim();
    return { target, folder: typed || standard };
  } finally {
    lines?.close();
  }
}

async function askTarget(question: LineInput | undefined, standard: Target): Promise<Target> {
  for (;;) {
    const answer = await answerTo(question, `Runtime [${standard}]: `);
    const name = answer?.trim().toLowerCase() || standard;
    if (isTarget(name)) return name;
  }
}

/** @throws UsageError where somebody goes away instead of answering. */
async function answerTo(
  question: LineInput | undefined,
  prompt: string,
): Promise<string | undefined> {
  if (question === undefined) return undefined;
  const answer = await question.next(prompt);
  if (answer === undefined || answer === null) throw new UsageError("nothing was made");
  return answer;
}
