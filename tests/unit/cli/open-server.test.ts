/** A server that others can reach, and that lets everybody in, says so when it starts. */
import { expect, test } from "vitest";
import { goldenPath } from "../../support/golden-model.ts";
import { temporaryFolder } from "../platform/temporary-folder.ts";
import { pronk } from "./fake-cli.ts";

/** Before the model is looked for, so that none is needed. */
async function started(args: string, env: Record<string, string> = {}): Promise<string[]> {
  const { code, err } = await pronk(["serve", "nowhere", "--port", "0", ...args.split(" ")], {
    env,
  });
  expect([code, err]).toEqual([1, expect.stringContaining("nowhere: no such file")]);
  return err.split("\n").filter((line) => line.includes("without keys"));
}

const WARNING =
  "pronk serve: warning: listens on 0.0.0.0 without keys: whoever reaches it may use it; " +
  "--api-keys FILE or PRONK_API_KEYS sets them";

test.each([
  ["--host 0.0.0.0", {}],
  ["--log text", { HOST: "0.0.0.0" }],
])("%s: one line says what it means and what to set", async (args, env) => {
  expect(await started(args, env)).toEqual([WARNING]);
});

test("in a log of JSON the line is JSON, too", async () => {
  const lines = await started("--host 0.0.0.0 --log json");
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    {
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      level: "warn",
      message: WARNING.replace("pronk serve: warning: ", ""),
    },
  ]);
});

test.each([
  ["--host 127.0.0.1", {}],
  ["--host localhost", {}],
  ["--log json", {}],
  ["--host 0.0.0.0 --quiet", {}],
  ["--host 0.0.0.0", { PRONK_API_KEYS: "secret" }],
])("%s, %o: nothing is said", async (args, env) => {
  expect(await started(args, env)).toEqual([]);
});

test("a stage without its key says so, too", async () => {
  const pack = `${await temporaryFolder()}/pack`;
  const { code } = await pronk(["convert", goldenPath("gqa"), "--to", "pack", "--out", pack]);
  expect(code).toBe(0);
  const stage = async (host: string, env: Record<string, string>): Promise<string> => {
    const args = ["stage", pack, "--part", "1/1", "--port", "0", "--host", host];
    const stop = new AbortController();
    // What it says when it is ready.
    const out = (): void => stop.abort();
    return (await pronk(args, { env, signal: stop.signal, out })).err;
  };
  expect(await stage("0.0.0.0", {})).toContain(
    "pronk stage: warning: listens on 0.0.0.0 without a key: whoever reaches it may use it; " +
      "PRONK_STAGE_KEY, here and in the front, sets it\n",
  );
  expect(await stage("0.0.0.0", { PRONK_STAGE_KEY: "secret" })).toBe("");
  expect(await stage("127.0.0.1", {})).toBe("");
});
