/** What is written of an error: what and where in one line, the next step in another. Colours only the labels. */
import { PronkError } from "../errors.ts";
import { diskError, isSystemError } from "../platform/host/disk-error.ts";
import { UsageError } from "./arguments.ts";
import type { CliContext } from "./command.ts";
import { nextStep } from "./next-step.ts";

/** What was typed. */
export interface Typed {
  readonly command: string;
  readonly isCommand: boolean;
  /** What stands behind the command. */
  readonly argv: readonly string[];
}

/** @returns the exit code: 1, or 2 on wrong usage. */
export async function reportError(
  thrown: unknown,
  { command, argv, isCommand }: Typed,
  cli: CliContext,
): Promise<number> {
  const { bold, red, cyan } = cli.colors.err;
  const label = red(bold(`pronk ${command}:`));
  // What the system refuses is no bug, wherever it was asked.
  const error = isSystemError(thrown)
    ? diskError(thrown.path ?? thrown.syscall ?? "the system", thrown)
    : thrown;
  if (!(error instanceof PronkError)) {
    // A bug: its stack is what a report needs.
    cli.err(`${label} ${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  }
  cli.err(`${label} ${error.message.replace(/\s*\n\s*/g, " ")}\n`);
  if (error instanceof UsageError) {
    const help = isCommand
      ? `pronk ${command} --help shows how it is used`
      : "pronk help lists the commands";
    cli.err(`${cyan("next:")} ${help}\n`);
    return 2;
  }
  const step = await nextStep(error, { command, argv, env: cli.env });
  if (step !== undefined) cli.err(`${cyan("next:")} ${step}\n`);
  return 1;
}
