import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../platform/temporary-folder.ts";
import { pronk } from "./fake-cli.ts";

const model = fileURLToPath(new URL("../../goldens/tokenizers/tok_bpe.gguf", import.meta.url));
const run = ["run", model, "--prompt", "It is ", "--temperature", "1.5", "--seed", "4"];

describe("pronk run writes what it is told to", () => {
  test("by a regular expression", async () => {
    const { code, out } = await pronk([...run, "--regex", "[0-9]{4}-(spring|autumn)"]);
    expect([code, out]).toEqual([0, expect.stringMatching(/^[0-9]{4}-(spring|autumn)\n$/)]);
  });

  test("by a JSON Schema in a file", async () => {
    const file = join(await temporaryFolder(), "schema.json");
    const schema = { type: "object", properties: { a: { enum: [1, "b"] } }, required: ["a"] };
    await writeFile(file, JSON.stringify(schema));
    const { code, out } = await pronk([...run, "--json-schema", file]);
    expect(code).toBe(0);
    expect([1, "b"]).toContain(JSON.parse(out).a);
  });

  test("by a grammar in a file", async () => {
    const file = join(await temporaryFolder(), "list.gbnf");
    await writeFile(file, 'root ::= "- " [a-z]{3} "\\n" "- " [a-z]{3}');
    const { out } = await pronk([...run, "--grammar", file]);
    expect(out).toMatch(/^- [a-z]{3}\n- [a-z]{3}\n$/);
  });

  test.each([
    [["--regex", "a", "--grammar", "x"], 2, "only one of"],
    [["--regex", "(a"], 1, ") is missing"],
    [["--json-schema", "none.json"], 1, "none.json: cannot be read"],
    [["--json-schema", model], 1, "no JSON"],
  ])("and says what is wrong with %j", async (more, code, message) => {
    const outcome = await pronk([...run, ...more]);
    expect(outcome.err).toContain(message);
    expect(outcome.code).toBe(code);
  });
});
