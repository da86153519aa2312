/** The commands in this process, with what they print kept. */
import { PLAIN } from "../../../src/cli/colors.ts";
import type { CliContext } from "../../../src/cli/command.ts";
import { runCommand } from "../../../src/cli/commands.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function pronk(
  args: readonly string[],
  more: Partial<
    Pick<
      CliContext,
      "env" | "isTerminal" | "isOutTerminal" | "signal" | "columns" | "openLines" | "out"
    >
  > & {
    stdin?: string;
  } = {},
): Promise<Outcome> {
  let out = "";
  let err = "";
  const code = await runCommand(args, {
    host: nodeHost,
    env: {},
    fetch,
    signal: new AbortController().signal,
    isTerminal: false,
    isOutTerminal: false,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    note: (text) => {
      err += text;
    },
    colors: { out: PLAIN, err: PLAIN },
    columns: () => 80,
    openLines: async () => {
      const lines = (more.stdin ?? "").split("\n");
      return {
        isTerminal: false,
        onInterrupt: undefined,
        next: async () => lines.shift(),
        remember: () => undefined,
        close: () => undefined,
      };
    },
    readStdin: async () => more.stdin ?? "",
    ...more,
  });
  return { code, out, err };
}
