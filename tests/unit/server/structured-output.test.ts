/** Whatever a model says, its answer is of the schema: over HTTP, with a model whose weights are random. */
import { readFileSync } from "node:fs";
import { type ServerType, serve } from "@hono/node-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine } from "../../../src/engine/create-engine.ts";
import { loadModel } from "../../../src/engine/load-model.ts";
import type { Runtime } from "../../../src/engine/runtime.ts";
import { createApp } from "../../../src/server/app.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { openApiSchema, pydanticSchema, zodSchema } from "../../support/client-schemas.ts";
import { chanceOf, randomSchema } from "../../support/random-schemas.ts";
import { schemaValidator } from "../../support/schema-validator.ts";

const PATH = "tests/goldens/tokenizers/tok_bpe.gguf";
const SCHEMAS = 500;
const BATCH = 100;
/** At once: what runs beside an answer does not change it. */
const STREAMS = 4;

const runtime: Runtime = {
  kernels: { plain: new WebAssembly.Module(readFileSync("wasm/dist/plain.wasm")) },
  yieldTask: () => new Promise((resolve) => setImmediate(resolve)),
  now: () => performance.now(),
  wallClock: () => 1_700_000_000_500,
  randomSeed: () => 1,
};

let server: ServerType;
let url: string;

beforeAll(async () => {
  const gguf = [memorySource(new Uint8Array(readFileSync(PATH)), PATH)];
  const model = await loadModel({ gguf }, runtime, { slots: STREAMS });
  const app = createApp({ engine: createEngine(model, runtime, { contextShift: true }) });
  url = await new Promise((resolve) => {
    server = serve({ fetch: app.fetch, port: 0 }, ({ port }) =>
      resolve(`http://127.0.0.1:${port}`),
    );
  });
});
afterAll(() => {
  server.close();
});

interface Answer {
  readonly text: string;
  readonly finish: string;
}

function send(fields: Record<string, unknown>): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "golden-tok-bpe",
      messages: [{ role: "user", content: "Say it." }],
      temperature: 1.5,
      max_tokens: 300,
      ...fields,
    }),
    signal: AbortSignal.timeout(60_000),
  });
}

async function ask(fields: Record<string, unknown>): Promise<Answer | { readonly error: string }> {
  const response = await send(fields);
  if (!response.ok) return { error: (await response.json()).error.message };
  if (fields.stream !== true) {
    const [{ message, finish_reason }] = (await response.json()).choices;
    return { text: message.content, finish: finish_reason };
  }
  const events = (await response.text())
    .split("\n\n")
    .filter((event) => event.startsWith("data: {"));
  const choices = events.map((event) => JSON.parse(event.slice(6)).choices[0]);
  return {
    text: choices.map(({ delta }) => delta.content ?? "").join(""),
    finish: choices.at(-1).finish_reason,
  };
}

/** All choices of a whole answer. */
async function askChoices(
  fields: Record<string, unknown>,
): Promise<readonly Answer[] | { readonly error: string }> {
  const response = await send(fields);
  const body = await response.json();
  if (!response.ok) return { error: body.error.message };
  return body.choices.map((choice: { message: { content: string }; finish_reason: string }) => ({
    text: choice.message.content,
    finish: choice.finish_reason,
  }));
}

/** Answers that are complete; all others ended by their length. */
async function completeAnswers(
  fields: Record<string, unknown>,
  seed: number,
): Promise<readonly string[] | { readonly error: string }> {
  const whole = await ask({ ...fields, seed });
  if ("error" in whole) return whole;
  const streamed = await ask({ ...fields, seed, stream: true });
  expect(streamed).toEqual(whole);
  if (whole.finish === "stop") return [whole.text];
  expect(whole.finish).toBe("length");
  return [];
}

const schemaOf = (seed: number): Record<string, unknown> => {
  const chance = chanceOf(seed * 104_729 + 7);
  return chance.pick([
    () => randomSchema(chance),
    () => randomSchema(chance),
    () => zodSchema(chance),
    () => pydanticSchema(chance),
    () => openApiSchema(chance),
  ])();
};

describe("answers of random schemas are valid, whole and streamed", () => {
  for (let first = 0; first < SCHEMAS; first += BATCH) {
    test(`schemas ${first} to ${first + BATCH - 1}`, { timeout: 240_000 }, async () => {
      let written = 0;
      let next = first;
      const work = async (): Promise<void> => {
        while (next < first + BATCH) {
          const seed = next++;
          const schema = schemaOf(seed);
          const format = { type: "json_schema", json_schema: { name: "x", strict: true, schema } };
          const answers = await completeAnswers({ response_format: format }, seed);
          if ("error" in answers) {
            // Some ask for what no value is.
            expect([seed, answers.error]).toEqual([seed, expect.stringMatching(/no value|itself/)]);
            continue;
          }
          const problem = schemaValidator(schema);
          for (const text of answers) {
            const wrong = problem(text);
            expect([wrong ? [seed, schema, text, wrong] : true]).toEqual([true]);
            written++;
          }
        }
      };
      await Promise.all(Array.from({ length: STREAMS }, work));
      expect(written).toBeGreaterThan(BATCH * 0.5);
    });
  }
});

test("every choice of several is valid, and the first is the one that comes alone", async () => {
  let written = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const schema = schemaOf(seed);
    const format = { type: "json_schema", json_schema: { name: "x", strict: true, schema } };
    const asked = { response_format: format, seed, logprobs: true };
    const one = await askChoices(asked);
    const several = await askChoices({ ...asked, n: 3 });
    if ("error" in several) {
      expect(one).toEqual(several);
      continue;
    }
    expect(several.length).toBe(3);
    expect([several[0]]).toEqual(one);
    const problem = schemaValidator(schema);
    for (const { text, finish } of several) {
      if (finish === "length") continue;
      expect([seed, problem(text)]).toEqual([seed, undefined]);
      written++;
    }
  }
  expect(written).toBeGreaterThan(15);
});

test("any object is an object", async () => {
  let written = 0;
  for (let seed = 0; seed < 30; seed++) {
    const answers = await completeAnswers({ response_format: { type: "json_object" } }, seed);
    if ("error" in answers) throw new Error(answers.error);
    for (const text of answers) {
      expect(typeof JSON.parse(text)).toBe("object");
      expect(text.startsWith("{")).toBe(true);
      written++;
    }
  }
  expect(written).toBeGreaterThan(3);
});

const REGEXES = [
  "\\d{4}-\\d{2}-\\d{2}",
  "(yes|no), because [a-z ]{5,20}\\.",
  "[A-Z][a-z]+( [A-Z][a-z]+)*",
  "(\\w+\\.)*\\w+@\\w+\\.(com|org)",
  "[^\\n]{1,30}\\n[à-ü😀]{2}",
  "(?=.*\\d)(?!0)[a-z0-9]{3,8}",
];

test("answers of regular expressions match them", async () => {
  for (const [i, pattern] of REGEXES.entries()) {
    for (let seed = 0; seed < 8; seed++) {
      const answers = await completeAnswers({ guided_regex: pattern }, 100 * i + seed);
      if ("error" in answers) throw new Error(answers.error);
      for (const text of answers) expect(text).toMatch(new RegExp(`^(?:${pattern})$`, "u"));
    }
  }
});

test("answers of choices are of the list", async () => {
  const choices = ["red", "green", "greenish", 'bl"ue', "ünïcode 😀", " ", "red "];
  const seen = new Set<string>();
  for (let seed = 0; seed < 40; seed++) {
    const answers = await completeAnswers({ guided_choice: choices }, seed);
    if ("error" in answers) throw new Error(answers.error);
    for (const text of answers) {
      expect(choices).toContain(text);
      seen.add(text);
    }
  }
  expect(seen.size).toBeGreaterThan(3);
});

test("answers of grammars are of them", async () => {
  const grammar = 'root ::= term (("+" | "-") term)*\nterm ::= [1-9] [0-9]{0,3} | "(" root ")"\n';
  let written = 0;
  for (let seed = 0; seed < 20; seed++) {
    const answers = await completeAnswers({ grammar }, seed);
    if ("error" in answers) throw new Error(answers.error);
    for (const text of answers) {
      expect(text).toMatch(/^[-+()0-9]+$/);
      expect(Number.isFinite(new Function(`return ${text}`)())).toBe(true);
      written++;
    }
  }
  expect(written).toBeGreaterThan(3);
});
