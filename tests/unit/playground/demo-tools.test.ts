import { expect, test } from "vitest";
import {
  DEMO_TOOLS,
  REQUEST_TOOLS,
  runDemoTool,
} from "../../../src/playground/views/demo-tools.ts";

test("every function is told to the model as it is run", () => {
  expect(REQUEST_TOOLS.map((tool) => tool.function.name)).toEqual(
    DEMO_TOOLS.map(({ name }) => name),
  );
});

test.each([
  ["calculate", { expression: "(23 + 19) * 7" }, "(23 + 19) * 7 = 294"],
  ["count_letters", { word: "Strawberry", letter: "R" }, "3"],
  ["calculate", { expression: "1 / 0" }, "error: no finite number"],
  ["calculate", {}, "error: expression is no text"],
  ["count_letters", { word: "a".repeat(201), letter: "a" }, "error: word is too long"],
  ["toString", {}, "error: there is no toString"],
])("%s of %j returns %s", (name, given, result) => {
  expect(runDemoTool(name, JSON.stringify(given))).toBe(result);
});

test("the clock knows the cities that a call may name", () => {
  const clock = DEMO_TOOLS.find(({ name }) => name === "current_time");
  const { city } = clock!.parameters.properties as { city: { enum: string[] } };
  const times = city.enum.map((city) => runDemoTool("current_time", JSON.stringify({ city })));
  for (const time of times) expect(time).toMatch(/\d{4} at \d\d:\d\d/);
  expect(new Set(times).size).toBeGreaterThan(2);
  expect(runDemoTool("current_time", `{"city":"Atlantis"}`)).toBe(
    "error: no city Atlantis is known",
  );
  expect(runDemoTool("current_time", `{"city":"toString"}`)).toMatch(/^error: /);
});

test.each(["", "[", "null", "7"])("arguments that are %j come back as an error", (json) => {
  expect(runDemoTool("calculate", json)).toMatch(/^error: /);
});
