import { expect, test } from "vitest";
import { parseSiteModels } from "../../../src/pack/site-models.ts";

const base = "https://page.example/chat/";
const model = {
  id: "m",
  folder: "models/m",
  bytes: 10,
  checksum: "a".repeat(64),
  license: "MIT",
};

test("a list of models is read as it stands", () => {
  expect(parseSiteModels(JSON.stringify({ models: [model] }), base)).toEqual([model]);
  expect(parseSiteModels('{"models":[]}', base)).toEqual([]);
});

test.each([
  ["no JSON", "<!doctype html>", "not JSON"],
  ["no list", "{}", "models: expected a list"],
  ["null", "null", "models: expected a list"],
  ["another origin", [{ ...model, folder: "https://elsewhere.example/m" }], "of another origin"],
  ["another origin without a scheme", [{ ...model, folder: "//elsewhere.example/m" }], "origin"],
  ["no checksum", [{ ...model, checksum: "x" }], "models[0].checksum: expected a SHA-256"],
  ["no size", [{ ...model, bytes: "10" }], "models[0].bytes: expected a number"],
  ["no name", [{ ...model, id: "" }], "models[0].id: expected a name"],
  ["a null entry", [null], "models[0].id: expected a name"],
])("%s is refused", (_, value, message) => {
  const text = typeof value === "string" ? value : JSON.stringify({ models: value });
  expect(() => parseSiteModels(text, base)).toThrow(message);
});
