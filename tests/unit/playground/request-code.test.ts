import { execFileSync } from "node:child_process";
import { transformSync } from "esbuild";
import { expect, test } from "vitest";
import {
  asCurl,
  asTypeScript,
  type CodeTarget,
} from "../../../src/playground/settings/request-code.ts";

const text = 'It\'s "quoted" $HOME `id` \\ \n\u{1f999} $1';
const target: CodeTarget = {
  kind: "server",
  base: new URL("http://127.0.0.1:8787/llm/"),
  model: "toy/llama",
  request: { messages: [{ role: "user", content: text }], temperature: 0.2 },
};

test("a shell passes the body on as it is", () => {
  const script = asCurl(target).replace(/^curl/, "for last in");
  const body = execFileSync("sh", ["-c", `${script.trimEnd()}; do :; done; printf %s "$last"`], {
    encoding: "utf8",
    timeout: 10_000,
  });
  expect(JSON.parse(body)).toEqual({ model: "toy/llama", ...target.request });
  expect(asCurl(target)).toContain("'http://127.0.0.1:8787/llm/v1/chat/completions'");
});

test.each(["server", "tab"] as const)("the TypeScript of a %s is valid", (kind) => {
  const code = asTypeScript({ ...target, kind });
  expect(() => transformSync(code, { loader: "ts", format: "esm" })).not.toThrow();
  expect(code).toContain(JSON.stringify(text));
});

test("an adapter that is asked for is the request's model", () => {
  const request = { ...target.request, model: "sql" };
  expect(asCurl({ ...target, request })).toContain('"model": "sql"');
  expect(asTypeScript({ ...target, request })).toContain('"model": "sql"');
});
