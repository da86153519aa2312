/** pronk doctor: what this machine can do for models, and what to change. */
import { PronkError } from "../errors.ts";
import { flagOption } from "./arguments.ts";
import type { Colors } from "./colors.ts";
import type { CliContext, Command } from "./command.ts";
import type { Check, CheckStatus } from "./doctor/check.ts";
import { gpuCheck, kernelChecks, runtimeCheck, threadCheck } from "./doctor/engine-checks.ts";
import { bandwidthCheck, cacheCheck, cpuCheck, memoryCheck } from "./doctor/machine-checks.ts";
import { networkCheck } from "./doctor/network-check.ts";
import { JSON_OPTION } from "./model-options.ts";
import { withActivity } from "./progress.ts";
import { wrapText } from "./wrap.ts";

const NAME_WIDTH = 9;
const STATUS_WIDTH = 4;
const MAX_COLUMNS = 100;

export const doctor: Command = {
  name: "doctor",
  group: "This machine",
  summary: "look at runtime, kernels, memory, GPU and network, and say what to change",
  examples: [
    { line: "pronk doctor", does: "a line for each, with what to change behind an arrow" },
    {
      line: "pronk doctor --json",
      does: "the same for programs; the exit code is 1 only where pronk cannot run",
    },
  ],
  positionals: "",
  maxPositionals: 0,
  options: JSON_OPTION,
  async run(input, cli): Promise<void> {
    const checks: Check[] = await withActivity(cli, "looking around", () => examine(cli));
    const failed = checks.filter(({ status }) => status === "fail");
    if (flagOption(input, "json")) {
      cli.out(`${JSON.stringify({ ok: failed.length === 0, checks })}\n`);
    } else {
      cli.out(describe(checks, cli));
    }
    if (failed.length > 0) {
      const names = failed.map(({ name }) => name).join(", ");
      throw new PronkError("unsupported", `pronk cannot run here: ${names}`);
    }
  },
};

/** One after the other, so that nothing disturbs what is timed. */
async function examine({ host, env, fetch, signal }: CliContext): Promise<Check[]> {
  const memory = memoryCheck();
  return [
    runtimeCheck(host),
    cpuCheck(),
    ...(await kernelChecks(host)),
    threadCheck(host),
    await gpuCheck(host),
    memory,
    bandwidthCheck(),
    await cacheCheck(env),
    await networkCheck(env, fetch, signal),
  ];
}

function describe(checks: readonly Check[], cli: CliContext): string {
  const colors = cli.colors.out;
  const columns = Math.min(MAX_COLUMNS, cli.columns());
  const left = STATUS_WIDTH + NAME_WIDTH + 4;
  const width = Math.max(20, columns - left - 1);
  const lines = checks.flatMap(({ name, status, found, change }) => {
    const [first, ...rest] = wrapText(found, width);
    const head = `${paintOf(status, colors)(status.padEnd(STATUS_WIDTH))}  ${colors.bold(name.padEnd(NAME_WIDTH))}  ${first}`;
    const more = rest.map((text) => " ".repeat(left) + text);
    const arrows = change === undefined ? [] : wrapText(change, width - 2);
    return [
      head,
      ...more,
      ...arrows.map((text, i) => `${" ".repeat(left)}${colors.cyan(i === 0 ? "→" : " ")} ${text}`),
    ];
  });
  const count = (wanted: CheckStatus): number =>
    checks.filter(({ status }) => status === wanted).length;
  const verdict =
    count("fail") > 0
      ? colors.red("pronk cannot run here.")
      : count("warn") > 0
        ? colors.yellow(`pronk runs here; ${count("warn")} to look at.`)
        : colors.green("pronk runs here.");
  return `${lines.join("\n")}\n\n${verdict}\n`;
}

function paintOf(status: CheckStatus, { green, yellow, red }: Colors): (text: string) => string {
  return { ok: green, warn: yellow, fail: red }[status];
}
