import { expect, test } from "vitest";
import { parseArguments } from "../../../src/cli/arguments.ts";
import { crossSiteOptions } from "../../../src/cli/cross-site-options.ts";
import { serve } from "../../../src/cli/serve.ts";

const of = (line: string, hasKeys = false, env: Record<string, string> = {}) =>
  crossSiteOptions(parseArguments(serve, line.split(" ").filter(Boolean)), { env }, hasKeys);

test.each<[line: string, hasKeys: boolean, expected: object]>([
  ["", false, { cors: { origins: "loopback" }, hosts: [] }],
  ["--host ::1", false, { cors: { origins: "loopback" }, hosts: [] }],
  ["--host 0.0.0.0", false, { cors: { origins: "loopback" } }],
  ["", true, { cors: { origins: "*" } }],
  ["--host 0.0.0.0", true, { cors: { origins: "*" } }],
  ["--cors any", false, { cors: { origins: "*" }, hosts: [] }],
  ["--cors none", true, { cors: { origins: [] } }],
  [
    "--cors https://a.example,http://b:81 --allowed-hosts llm.lan,[fe80::1]",
    false,
    { cors: { origins: ["https://a.example", "http://b:81"] }, hosts: ["llm.lan", "[fe80::1]"] },
  ],
  ["--allowed-hosts any", false, { cors: { origins: "loopback" } }],
])("pronk serve %s, keys: %s", (line, hasKeys, expected) => {
  expect(of(line, hasKeys)).toEqual(expected);
});

test("HOST counts as --host does", () => {
  expect(of("", false, { HOST: "0.0.0.0" })).not.toHaveProperty("hosts");
});

test.each(["--cors example.com", "--cors https://a.example/", "--allowed-hosts a:80"])(
  "%s is no such thing",
  (line) => expect(() => of(line)).toThrow(/expected/),
);
