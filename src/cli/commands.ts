/** The commands by name, and what a shell gets of them. */
import { PronkError } from "../errors.ts";
import { helpText, parseArguments, UsageError } from "./arguments.ts";
import type { CliContext, Command } from "./command.ts";

/** Loaded when they are called: a command must not pay for the others. */
const COMMANDS: Record<string, () => Promise<Command>> = {
  serve: async () => (await import("./serve.ts")).serve,
  front: async () => (await import("./front.ts")).front,
  chat: async () => (await import("./chat.ts")).chat,
  run: async () => (await import("./run.ts")).run,
  stage: async () => (await import("./stage.ts")).stage,
  pull: async () => (await import("./pull.ts")).pull,
  pack: async () => (await import("./pack.ts")).pack,
  convert: async () => (await import("./convert.ts")).convert,
  deploy: async () => (await import("./deploy.ts")).deploy,
  inspect: async () => (await import("./inspect.ts")).inspect,
  tokenize: async () => (await import("./tokenize.ts")).tokenize,
  eval: async () => (await import("./eval.ts")).evaluate,
  snapshot: async () => (await import("./snapshot.ts")).snapshot,
  hash: async () => (await import("./hash.ts")).hash,
  "attn-mask": async () => (await import("./attn-mask.ts")).attentionMask,
  bench: async () => (await import("./bench.ts")).bench,
};

/**
 * Runs a command line.
 *
 * @returns the exit code: 0, 1 on failure, 2 on wrong usage, 130 when it was interrupted.
 */
export async function runCommand(argv: readonly string[], cli: CliContext): Promise<number> {
  const [name = "--help", ...rest] = argv;
  try {
    if (name === "--help" || name === "-h" || name === "help") {
      cli.out(await overview());
      return 0;
    }
    if (name === "--version" || name === "-v") {
      cli.out(`${await version(cli)}\n`);
      return 0;
    }
    const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (!load) throw new UsageError(`no command ${name}; pronk --help lists them`);
    const command = await load();
    const input = parseArguments(command, rest);
    if (input.values.help) cli.out(helpText(command));
    else await command.run(input, cli);
    return 0;
  } catch (error) {
    if (cli.signal.aborted) return 130; // as a shell reports a process ended by SIGINT
    if (!(error instanceof PronkError)) {
      // A bug: its stack is what a report needs.
      cli.err(`pronk ${name}: ${error instanceof Error ? error.stack : String(error)}\n`);
      return 1;
    }
    cli.err(`pronk ${name}: ${error.message.replace(/\s*\n\s*/g, " ")}\n`);
    if (!(error instanceof UsageError)) return 1;
    cli.err(`pronk ${name} --help shows how it is used\n`);
    return 2;
  }
}

async function overview(): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  const lines = commands.map((command) => `  ${command.name.padEnd(10)} ${command.summary}`);
  return `pronk COMMAND [arguments]\n\n${lines.join("\n")}\n\npronk COMMAND --help shows a command's options\n`;
}

async function version({ host }: CliContext): Promise<string> {
  const { packageRoot } = await import("./runtimes.ts");
  const manifest = await host.readFile(`${packageRoot()}/package.json`);
  return JSON.parse(new TextDecoder().decode(manifest)).version;
}
