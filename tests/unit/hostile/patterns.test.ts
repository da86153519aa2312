/** Regular expressions that take exponential time on some text, and texts that make a server slow: there are none. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAst } from "vite";
import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { post } from "../server/client.ts";
import { createToy } from "../server/toy-engine.ts";

interface Pattern {
  readonly file: string;
  readonly source: string;
  readonly flags: string;
}

/** Every pattern that is written in the sources. */
function patternsIn(folder: string): Pattern[] {
  const found: Pattern[] = [];
  for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!/\.tsx?$/.test(file) || file.endsWith(".d.ts")) continue;
    const text = readFileSync(join(folder, file), "utf8");
    const visit = (node: unknown): void => {
      if (typeof node !== "object" || node === null) return;
      const { regex } = node as { regex?: { pattern: string; flags: string } };
      if (regex) found.push({ file, source: regex.pattern, flags: regex.flags });
      for (const child of Object.values(node)) visit(child);
    };
    visit(parseAst(text, { lang: file.endsWith("x") ? "tsx" : "ts" } as never));
  }
  return found;
}

/** Repetitions that an exponential pattern would need hours for, and any other no time. */
const PUMPED = 32;
/** A hundred times what the slowest takes. */
const LIMIT_MS = 500;

/** What could drive a pattern: its own characters, and one of each class, behind what it begins with. */
function attacksOn({ source }: Pick<Pattern, "source">): string[] {
  const plain = source.replace(/\\[\s\S]|\[[^\]]*\]|[()?*+|^$.{}]/g, "");
  const own = [...new Set(source.replace(/\\[a-zA-Z]/g, ""))].filter(
    (one) => !"\\^$".includes(one),
  );
  const pumps = [
    ...new Set([
      ...own,
      " ",
      "\n",
      "\t",
      "a",
      "A",
      "0",
      "_",
      "-",
      ".",
      "/",
      "é",
      "/*",
      "*/",
      "a.",
      "0.",
      "--",
    ]),
  ];
  return pumps.flatMap((pump) =>
    ["\u0000", "!", "x\u0000"].flatMap((tail) => [
      pump.repeat(PUMPED) + tail,
      plain + pump.repeat(PUMPED) + tail,
    ]),
  );
}

/** Milliseconds of the slowest. */
function slowest(pattern: Pick<Pattern, "source" | "flags">): number {
  const expression = new RegExp(pattern.source, pattern.flags);
  let most = 0;
  for (const text of attacksOn(pattern)) {
    const started = performance.now();
    expression.lastIndex = 0;
    expression.exec(text);
    most = Math.max(most, performance.now() - started);
    if (most > LIMIT_MS) break;
  }
  return most;
}

const patterns = patternsIn("src");

test("no pattern of the sources takes exponential time", () => {
  expect(patterns.length).toBeGreaterThan(300);
  const slow = patterns.filter((pattern) => slowest(pattern) > LIMIT_MS);
  expect(slow).toEqual([]);
});

test("one that does would be found", () => {
  const few = 22; // Enough to see it, and to end.
  const expression = /^(?:a+)+$/;
  const started = performance.now();
  expression.exec(`${"a".repeat(few)}!`);
  const ms = performance.now() - started;
  expect(attacksOn({ source: expression.source })).toContain(`${"a".repeat(PUMPED)}!`);
  // What it would take with all of them: twice as long with each.
  expect(ms * 2 ** (PUMPED - few)).toBeGreaterThan(LIMIT_MS);
});

describe("a text of any kind is cut into tokens soon", () => {
  /** What patterns of tokenizers look for, over and over. */
  const PUMPS = [
    " ",
    "\t",
    "\n",
    " \n",
    "a",
    "A",
    "0",
    "0a",
    " a",
    "'s",
    "\u3000",
    "é",
    "🙂",
    "\u0301",
    "<|",
    "<|eot_id",
    "{{",
    "\r\n ",
  ];
  const app = createApp({ engine: createToy().engine });
  test.each(PUMPS)("%j", async (pump) => {
    for (const tail of ["", "!x"]) {
      const text = pump.repeat(200_000 / pump.length) + tail;
      for (const body of [{ prompt: text }, { messages: [{ role: "user", content: text }] }]) {
        const started = performance.now();
        const { status } = await post(app, "/tokenize", body);
        expect(status).toBeLessThan(500);
        expect(performance.now() - started).toBeLessThan(3_000);
      }
    }
  });
});
