import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { API_KEYS_OPTION, apiKeysOf } from "../../../src/cli/api-keys-option.ts";
import { parseArguments } from "../../../src/cli/arguments.ts";
import type { Command } from "../../../src/cli/command.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pronk-keys-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const command: Command = {
  group: "Use a model",
  examples: [],
  ...{ name: "serve", summary: "", positionals: "", maxPositionals: 0, options: API_KEYS_OPTION },
  run: async () => {},
};
const keys = async (text: string | undefined, env: Record<string, string> = {}) => {
  const file = join(folder, "keys");
  if (text !== undefined) await writeFile(file, text);
  const given = text === undefined ? [] : ["--api-keys", file];
  return apiKeysOf(parseArguments(command, given), { env });
};

describe("--api-keys", () => {
  test("reads keys by line or comma, or a JSON list, and goes before the variable", async () => {
    expect(await keys("a\n sha256:00 \r\nb,c\n")).toEqual(["a", "sha256:00", "b", "c"]);
    const described = [{ key: "a", name: "app", requestsPerMinute: 5 }];
    const env = { PRONK_API_KEYS: "variable" };
    expect(await keys(`\n${JSON.stringify(described)}\n`, env)).toEqual(described);
    expect(await keys(undefined, env)).toEqual(["variable"]);
    expect(await keys(undefined)).toBeUndefined();
  });

  test("refuses a file without keys, and one that is not there", async () => {
    await expect(keys(" \n")).rejects.toThrow("there are no keys");
    const missing = parseArguments(command, ["--api-keys", join(folder, "none")]);
    await expect(apiKeysOf(missing, { env: {} })).rejects.toMatchObject({ code: "not_found" });
    await expect(keys('[{"key":"hidden","x":1}]')).rejects.not.toThrow("hidden");
  });
});
