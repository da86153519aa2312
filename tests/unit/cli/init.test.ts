import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { CliContext } from "../../../src/cli/command.ts";
import { TARGETS } from "../../../src/cli/init/targets.ts";
import { packageRoot } from "../../../src/cli/runtimes.ts";
import { temporaryFolder } from "../platform/temporary-folder.ts";
import { pronk } from "./fake-cli.ts";

const manifest = JSON.parse(await readFile(join(packageRoot(), "package.json"), "utf8"));
const names = Object.keys(TARGETS);

/** As published: this repository's own packing is in tests/e2e. */
const PUBLISHED = ["--package", manifest.version];

async function textOf(...path: string[]): Promise<string> {
  return readFile(join(...path), "utf8");
}

describe.each(names)("--to %s", (target) => {
  test("copies the example, named after the folder, and says what to type", async () => {
    const folder = join(await temporaryFolder(), "My Project");
    const args = ["init", folder, "--to", target, ...PUBLISHED, "--json"];
    const { code, out, err } = await pronk(args);
    expect(code, err).toBe(0);
    const { path, to, files, next } = JSON.parse(out);
    expect({ path, to }).toEqual({ path: folder, to: target });
    const found = await readdir(folder, { recursive: true, withFileTypes: true });
    expect(files).toHaveLength(found.filter((entry) => entry.isFile()).length);
    expect(await textOf(folder, ".gitignore")).toContain("node_modules/\n");
    if (target === "deno") {
      expect(JSON.parse(await textOf(folder, "deno.json")).imports.pronk).toBe(
        `npm:pronk@${manifest.version}`,
      );
    } else {
      expect(JSON.parse(await textOf(folder, "package.json"))).toMatchObject({
        name: "my-project",
        dependencies: { pronk: manifest.version },
      });
    }
    expect(next[0]).toBe(`cd ${folder}`);
    expect(next.at(-1)).toMatch(/^curl http:\/\/localhost:8787\/.*chat\/completions -d '\{.*\}'$/);
    for (const line of next.slice(1)) expect(await textOf(folder, "README.md")).toContain(line);
  });

  test("asks for the versions of everything exactly, and for this version of pronk", async () => {
    const example = join(
      packageRoot(),
      "examples",
      TARGETS[target as keyof typeof TARGETS].example,
    );
    const text = await textOf(example, target === "deno" ? "deno.json" : "package.json");
    const { dependencies, devDependencies, imports } = JSON.parse(text);
    const versions = Object.entries<string>({ ...dependencies, ...devDependencies, ...imports });
    for (const [name, version] of versions) {
      expect(version, name).toMatch(/^(?:npm:.+@)?\d+\.\d+\.\d+(?:\/\w+)?$/);
      if (name.startsWith("pronk")) expect(version).toContain(manifest.version);
    }
    expect(versions.length).toBeGreaterThan(1);
  });
});

test("a Worker is named after its folder", async () => {
  const folder = join(await temporaryFolder(), "llm_2");
  await pronk(["init", folder, "--to", "worker", ...PUBLISHED]);
  expect(await textOf(folder, "wrangler.toml")).toMatch(/^name = "llm-2"$/m);
});

test("what is there stays, and is named; nothing else is written", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "src"));
  await writeFile(join(folder, "src", "index.ts"), "mine");
  await writeFile(join(folder, "package.json"), "{}");
  await writeFile(join(folder, "notes.txt"), "not in the way");
  const { code, err } = await pronk(["init", folder, "--to", "worker", ...PUBLISHED]);
  expect(code).toBe(2);
  expect(err).toContain(`${folder}: package.json, src/index.ts are there already`);
  expect(await textOf(folder, "src", "index.ts")).toBe("mine");
  expect((await readdir(folder)).sort()).toEqual(["notes.txt", "package.json", "src"]);
  const file = join(folder, "notes.txt");
  expect((await pronk(["init", file, "--to", "node", ...PUBLISHED])).err).toContain("is a file");
});

test("of a clone, Deno links the folder, the others name what they are given", async () => {
  const parent = await temporaryFolder();
  const deno = join(parent, "deno");
  await pronk(["init", deno, "--to", "deno", "--package", packageRoot()]);
  const { links, nodeModulesDir } = JSON.parse(await textOf(deno, "deno.json"));
  expect(join(deno, links[0])).toBe(packageRoot());
  expect(nodeModulesDir).toBe("auto");
  await writeFile(join(parent, "pronk.tgz"), "");
  const node = join(parent, "node");
  await pronk(["init", node, "--to", "node", "--package", join(parent, "pronk.tgz")]);
  const { dependencies } = JSON.parse(await textOf(node, "package.json"));
  expect(dependencies.pronk).toBe("file:../pronk.tgz");
  const { code, err } = await pronk([
    "init",
    join(parent, "x"),
    "--to",
    "node",
    "--package",
    "./no",
  ]);
  expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining("--package ./no") });
});

describe("on a terminal", () => {
  /** Answers what it is asked. */
  function terminal(answers: readonly string[]) {
    const asked: string[] = [];
    const left = [...answers];
    const openLines: CliContext["openLines"] = async () => ({
      isTerminal: true,
      onInterrupt: undefined,
      next: async (prompt) => {
        asked.push(prompt);
        return left.shift();
      },
      remember: () => undefined,
      close: () => undefined,
    });
    return { asked, openLines };
  }

  test("what was not said is asked for, and asked again where it is none", async () => {
    const folder = join(await temporaryFolder(), "typed");
    const { asked, openLines } = terminal(["lambda", "Bun", folder]);
    const { code, out, err } = await pronk(["init", ...PUBLISHED], { openLines });
    expect(code, err).toBe(0);
    expect(asked).toEqual(["Runtime [node]: ", "Runtime [node]: ", "Folder [pronk-bun]: "]);
    for (const name of names) expect(out).toContain(name);
    expect(await readdir(folder)).toContain("index.ts");
  });

  test("what was said is not", async () => {
    const { asked, openLines } = terminal([]);
    const folder = join(await temporaryFolder(), "said");
    await pronk(["init", folder, "--to", "bun", ...PUBLISHED], { openLines });
    expect(asked).toEqual([]);
  });
});
