/** The benches that documents name take minutes of a quiet machine each: here they read their arguments, and end. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { documentCommands } from "../support/document-commands.ts";

const root = packageRoot();
const benches = ["docs/benchmarks.md", "docs/kernels.md", "docs/webgpu.md"].flatMap((file) =>
  documentCommands(file)
    .filter(({ text }) => text.startsWith("npm run bench"))
    .map(({ text }) => text),
);

const run = (command: string): string => {
  const preload = pathToFileURL(join(root, "tests", "e2e", "stop-after-arguments.mjs")).href;
  // What npm would run, without its own start.
  const [, args = ""] = /^npm run bench(?: -- (.*))?$/.exec(command) ?? [];
  return execFileSync("sh", ["-c", `node scripts/bench.mjs ${args}`], {
    cwd: root,
    encoding: "utf8",
    timeout: 180_000,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: `--import=${preload}` },
  });
};

test.each(benches)("%s", (command) => {
  const [, json = "{}"] = /^read: (.*)$/m.exec(run(command)) ?? [];
  const { values, positionals } = JSON.parse(json);
  for (const [, name = ""] of command.matchAll(/ --([a-z][\w-]*)/g))
    expect(values).toHaveProperty([name]);
  expect(Array.isArray(positionals) || positionals === undefined).toBe(true);
});

test("an argument that no bench has is found", () => {
  expect(benches.length).toBeGreaterThan(20);
  expect(() => run("npm run bench -- kernels --wirte")).toThrow(/wirte/);
  expect(() => run("npm run bench -- --contxts 128")).toThrow(/contxts/);
});
