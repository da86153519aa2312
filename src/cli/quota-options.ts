/** What each API key may take, on the command line. */
import type { Quota } from "../server/quota.ts";
import { integerOption } from "./arguments.ts";
import type { Arguments, OptionSpecs } from "./command.ts";

const FIELDS = {
  "requests-per-minute": "requestsPerMinute",
  "requests-per-day": "requestsPerDay",
  "tokens-per-minute": "tokensPerMinute",
  "tokens-per-day": "tokensPerDay",
} as const;

export const QUOTA_OPTIONS: OptionSpecs = Object.fromEntries(
  Object.keys(FIELDS).map((name) => [
    name,
    {
      type: "string",
      value: "N",
      help: "of each API key that has no limit of its own",
      group: "Who may use it",
    },
  ]),
);

/** @throws UsageError */
export function quotaOptions(input: Arguments): Quota {
  const given = Object.entries(FIELDS).map(([name, field]) => [
    field,
    integerOption(input, name, 0),
  ]);
  return Object.fromEntries(given.filter(([, limit]) => limit !== undefined));
}
