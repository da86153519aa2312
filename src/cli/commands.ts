/** The commands by name, and what a shell gets of them. */
import { parseArguments, UsageError } from "./arguments.ts";
import type { CliContext, Command } from "./command.ts";
import { nearestName } from "./nearest.ts";

/** Loaded when they are called: a command must not pay for the others. */
const COMMANDS: Record<string, () => Promise<Command>> = {
  chat: async () => (await import("./chat.ts")).chat,
  run: async () => (await import("./run.ts")).run,
  serve: async () => (await import("./serve.ts")).serve,
  page: async () => (await import("./page.ts")).page,
  deploy: async () => (await import("./deploy.ts")).deploy,
  snapshot: async () => (await import("./snapshot.ts")).snapshot,
  init: async () => (await import("./init.ts")).init,
  front: async () => (await import("./front.ts")).front,
  stage: async () => (await import("./stage.ts")).stage,
  inspect: async () => (await import("./inspect.ts")).inspect,
  pull: async () => (await import("./pull.ts")).pull,
  keygen: async () => (await import("./keygen.ts")).keygen,
  pack: async () => (await import("./pack.ts")).pack,
  convert: async () => (await import("./convert.ts")).convert,
  tokenize: async () => (await import("./tokenize.ts")).tokenize,
  "attn-mask": async () => (await import("./attn-mask.ts")).attentionMask,
  eval: async () => (await import("./eval.ts")).evaluate,
  doctor: async () => (await import("./doctor.ts")).doctor,
  bench: async () => (await import("./bench.ts")).bench,
  hash: async () => (await import("./hash.ts")).hash,
};

/** Every command, in the order of the list: its help is data, and nothing of it is run. */
export function allCommands(): Promise<Command[]> {
  return Promise.all(Object.values(COMMANDS).map((load) => load()));
}

/**
 * Runs a command line.
 *
 * @returns the exit code: 0, 1 on failure, 2 on wrong usage, 130 when it was interrupted.
 */
export async function runCommand(argv: readonly string[], cli: CliContext): Promise<number> {
  const [name = "help", ...rest] = argv;
  try {
    if (name === "help" || name === "--help" || name === "-h") {
      await showHelp(rest[0], cli);
      return 0;
    }
    if (name === "--version" || name === "-v") {
      cli.out(`${await version(cli)}\n`);
      return 0;
    }
    const command = await commandOf(name);
    const input = parseArguments(command, rest);
    if (input.values.help) await showHelp(name, cli);
    else await command.run(input, input.values.quiet ? quietly(cli) : cli);
    return 0;
  } catch (error) {
    if (cli.signal.aborted) return 130; // as a shell reports a process ended by SIGINT
    const { reportError } = await import("./error-report.ts");
    const isCommand = Object.hasOwn(COMMANDS, name);
    return reportError(error, { command: name, isCommand, argv: rest }, cli);
  }
}

/** @throws UsageError with the command that may be meant. */
async function commandOf(name: string): Promise<Command> {
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load) return load();
  const meant = nearestName(name, Object.keys(COMMANDS));
  throw new UsageError(
    `no command ${name}${meant === undefined ? "" : `; did you mean ${meant}?`}`,
  );
}

async function showHelp(name: string | undefined, cli: CliContext): Promise<void> {
  const style = { colors: cli.colors.out, columns: cli.columns() };
  const command = name === undefined ? undefined : await commandOf(name);
  const { helpText, overviewText } = await import("./help.ts");
  cli.out(command ? helpText(command, style) : overviewText(await allCommands(), style));
}

function quietly(cli: CliContext): CliContext {
  return { ...cli, note: () => undefined, isTerminal: false };
}

async function version({ host }: CliContext): Promise<string> {
  const { packageRoot } = await import("./runtimes.ts");
  const manifest = await host.readFile(`${packageRoot()}/package.json`);
  return JSON.parse(new TextDecoder().decode(manifest)).version;
}
