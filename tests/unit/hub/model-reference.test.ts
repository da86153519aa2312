import { describe, expect, test } from "vitest";
import { parseModelReference } from "../../../src/hub/model-reference.ts";

test("a known name is that model, in any case", () => {
  expect(parseModelReference("SmolLM2-135M-Instruct")).toMatchObject({
    kind: "known",
    model: { name: "smollm2-135m-instruct", bytes: 98_362_432 },
  });
});

test.each([
  ["hf:a/b", "a/b", "main", undefined],
  ["hf:a/b.c@v1", "a/b.c", "v1", undefined],
  ["hf:a/b@refs/pr/1:x.gguf", "a/b", "refs/pr/1", "x.gguf"],
  ["hf:a/b:Q4_1", "a/b", "main", "Q4_1"],
  ["hf:a/b:sub/x.gguf", "a/b", "main", "sub/x.gguf"],
])("%s is a place on the hub", (text, repo, revision, choice) => {
  expect(parseModelReference(text)).toEqual({ kind: "hub", repo, revision, choice });
});

test.each([
  ["https://host/model.gguf", "url"],
  ["http://127.0.0.1/pack", "url"],
  ["./model.gguf", "path"],
  ["model", "path"],
])("%s is a %s", (text, kind) => {
  expect(parseModelReference(text).kind).toBe(kind);
});

const HASH = "0123456789abcdef".repeat(4);

test.each([
  [`https://host/model.gguf#sha256=${HASH}`, "https://host/model.gguf", HASH],
  [`https://host/m.gguf?key=1#sha256=${HASH.toUpperCase()}`, "https://host/m.gguf?key=1", HASH],
  ["https://host/model.gguf", "https://host/model.gguf", undefined],
])("%s is a URL and what its bytes have to be", (text, url, sha256) => {
  expect(parseModelReference(text)).toEqual({ kind: "url", url, sha256 });
});

test.each([
  "#",
  "#sha256=",
  `#sha256=${HASH.slice(1)}`,
  `#sha256=${HASH}0`,
  `#sha256=${HASH.slice(1)}g`,
  `#sha256=${HASH}#`,
  `#sha512=${HASH}`,
  `#${HASH}`,
])("a URL with %s is refused in words that hold neither query nor fragment", (fragment) => {
  const text = `https://user:secret@host/model.gguf?key=secret${fragment}`;
  expect(() => parseModelReference(text)).toThrow(
    expect.objectContaining({
      code: "bad_request",
      message: "https://host/model.gguf: what follows # is not sha256= and 64 hexadecimal digits",
    }),
  );
});

describe("refuses", () => {
  test.each([
    ["", "bad_request"],
    ["hf:", "bad_request"],
    ["hf:a", "bad_request"],
    ["hf:a/b/c", "bad_request"],
    ["hf:../b", "bad_request"],
    ["hf:a/b@../../c", "bad_request"],
    ["hf:a/b:../x.gguf", "bad_request"],
    ["hf:a/b:x/../../y", "bad_request"],
    ["hf:a/b:/etc/passwd", "bad_request"],
    ["s3://bucket/prefix", "unsupported"],
    ["https://", "bad_request"],
  ])("%j", (text, code) => {
    expect(() => parseModelReference(text)).toThrow(expect.objectContaining({ code }));
  });
});
