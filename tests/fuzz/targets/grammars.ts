/** JSON Schemas, regular expressions and GBNF: compiled over a vocabulary, and written under by chance, token by token. */
import { readFileSync } from "node:fs";
import { PronkError } from "../../../src/errors.ts";
import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import { GrammarCompiler, type GrammarSpec } from "../../../src/grammar/grammar-compiler.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import type { Tokenizer } from "../../../src/tokenizers/tokenizer.ts";
import { chanceOf, randomSchema } from "../../support/random-schemas.ts";
import { editSchema, gbnfRule, regex } from "../grammar-writer.ts";
import { editJson, jsonInput, readJsonInput, replaceBroken, valuesLayout } from "../json-input.ts";
import { Random } from "../random.ts";
import type { FuzzTarget, Probe } from "../target.ts";

const VOCABULARY = "tests/goldens/tokenizers/tok_bpe.gguf";

/** Tokens that are written under a grammar. */
const TOKENS = 24;

/** What the compiler of a vocabulary may keep: grammars, the one in use included, and memos of masks. */
const MAX_KEPT_BYTES = 40e6;

let loaded:
  | Promise<{ tokenizer: Tokenizer; grammars: GrammarCompiler; texts: Uint8Array[] }>
  | undefined;

async function load(): Promise<Awaited<NonNullable<typeof loaded>>> {
  const gguf = await readGguf(memorySource(readFileSync(VOCABULARY), VOCABULARY));
  const tokenizer = loadTokenizer(compileTokenizer(gguf.metadata));
  const texts = Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.tokenBytes(id));
  return { tokenizer, grammars: new GrammarCompiler(tokenizer), texts };
}

const SCHEMAS = [
  ...Array.from({ length: 12 }, (_, i) => randomSchema(chanceOf(i + 1))),
  {
    type: "object",
    properties: { next: { $ref: "#" }, v: { type: "integer", minimum: 3 } },
    required: ["v"],
  },
  {
    anyOf: [
      { type: "string", pattern: "^(a|b)+c$", maxLength: 9 },
      { type: "array", uniqueItems: true, items: { enum: [1, 2] } },
    ],
  },
  {
    type: "object",
    patternProperties: { "^p": { type: "null" } },
    additionalProperties: { type: "number" },
    minProperties: 1,
  },
  {
    if: { properties: { a: { const: 1 } } },
    // biome-ignore lint/suspicious/noThenProperty: the keyword's name
    then: { required: ["b"] },
    type: "object",
    properties: { a: { enum: [1, 2] }, b: {} },
  },
];
const PATTERNS = [
  "(a|b)*c",
  "\\d{3}-\\d{4}",
  "[\\p{Lu}][\\p{Ll}]{0,20}",
  "(?=.*a)[a-c]{3,9}",
  "(x+x+)+y",
  ".{1,40}",
];
const SOURCES = [
  'root ::= r1 ws\nr1 ::= "(" r1 ")" | r2\nr2 ::= [0-9]+ ("," r2)?\nws ::= [ \\t]*\n',
  'root ::= "a" r1{2,4}\nr1 ::= "b" | "c" root | r2\nr2 ::= [^"\\\\]{1,9}\n',
];

const decoder = new TextDecoder();

/** Says what an input is. */
const KINDS = /^(?:"type":)?"(?:json_schema|json_object|regex|gbnf|choice)"$/;

const seeds = [
  ...SCHEMAS.map((schema) => jsonInput({ schema, type: "json_schema" })),
  ...PATTERNS.map((pattern) => jsonInput({ pattern, type: "regex" })),
  ...SOURCES.map((source) => jsonInput({ source, type: "gbnf" })),
  jsonInput({ choices: ["yes", "no", "née"], type: "choice" }),
  jsonInput({ type: "json_object" }),
];

function editText(text: string, random: Random, part: (random: Random) => string): string {
  const from = random.below(text.length + 1);
  const to = Math.min(text.length, from + random.below(6));
  switch (random.below(4)) {
    case 0:
      return text.slice(0, from) + part(random) + text.slice(from);
    case 1:
      return text.slice(0, from) + part(random) + text.slice(to);
    case 2:
      return text + part(random);
    default:
      return (
        text.slice(0, to) + text.slice(from, to).repeat(random.pick([1, 2, 50])) + text.slice(to)
      );
  }
}

/** Whole rules, and names of rules where items stand; or any part of the text. */
function editSource(source: string, random: Random): string {
  const lines = source.split("\n").filter((line) => line !== "");
  if (lines.length === 0) return gbnfRule(random);
  const names = lines.map((line) => line.split(" ")[0]!);
  const at = random.below(lines.length);
  switch (random.below(4)) {
    case 0:
      lines[at] = gbnfRule(random, names[at]).trimEnd();
      break;
    case 1: {
      const words = lines[at]!.split(" ");
      words.splice(random.between(Math.min(2, words.length), words.length), 0, random.pick(names));
      lines[at] = words.join(" ");
      break;
    }
    case 2:
      lines.push(gbnfRule(random).trimEnd());
      break;
    default:
      return editText(source, random, gbnfRule);
  }
  return `${lines.join("\n")}\n`;
}

/** What each kind of a grammar has beside its name. */
const PARTS = {
  json_schema: "schema",
  regex: "pattern",
  gbnf: "source",
  choice: "choices",
  json_object: undefined,
};

function isSpec(value: Record<string, unknown>): boolean {
  const { type, choices } = value;
  if (type === "json_schema") return "schema" in value;
  if (type === "regex") return typeof value.pattern === "string";
  if (type === "gbnf") return typeof value.source === "string";
  if (type === "choice")
    return Array.isArray(choices) && choices.every((one) => typeof one === "string");
  return type === "json_object";
}

const edit = editJson((value, random: Random) => {
  if (value.schema !== undefined) value.schema = editSchema(value.schema, random);
  else if (typeof value.pattern === "string") {
    value.pattern = editText(value.pattern, random, regex);
  } else if (typeof value.source === "string") {
    value.source = editSource(value.source, random);
  }
});

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  loaded ??= load();
  const { grammars, texts, tokenizer } = await loaded;
  const value = readJsonInput(input);
  if (!value) throw new PronkError("bad_request", "input: no JSON");
  if (!isSpec(value)) throw new PronkError("bad_request", "input: no grammar");
  // As the server makes them, with nothing else in them.
  const [kind, of] = Object.entries(PARTS).find(([type]) => type === value.type)!;
  const spec = { type: kind, ...(of && { [of]: value[of] }) } as GrammarSpec;
  const { type } = spec;
  const matcher = grammars.matcher(spec);
  probe.pastHeader();
  for (const [, word] of decoder
    .decode(input)
    .matchAll(/"(\w+)":|\\\\([a-zA-Z])|[*+?{}|()^$]|::=/g))
    probe.saw(`${type} ${word}`);
  const random = new Random(
    input.length,
    input.reduce((sum, byte) => (Math.imul(sum, 31) + byte) | 0, 7),
  );
  const allowed = new Uint32Array(Math.ceil(tokenizer.vocabSize / 32));
  for (let i = 0; i < TOKENS && !matcher.finished; i++) {
    allowed.fill(0);
    matcher.addAllowed(allowed);
    const ids = texts.flatMap((_, id) => ((allowed[id >>> 5]! >>> (id & 31)) & 1 ? [id] : []));
    if (ids.length === 0) {
      if (!matcher.complete)
        throw new Error(`${type}: nothing may follow after ${i} tokens, and it is not complete`);
      break;
    }
    probe.saw(`${type} ${Math.floor(Math.log2(ids.length))}`);
    const forced = matcher.forcedBytes();
    const id = random.pick(ids);
    const text = texts[id]!;
    for (let at = 0; at < Math.min(text.length, forced.length); at++) {
      if (text[at] !== forced[at])
        throw new Error(`${type}: token ${id} is allowed, and byte ${forced[at]} is forced`);
    }
    matcher.accept(text);
  }
  if (grammars.bytes > MAX_KEPT_BYTES) throw new Error(`${grammars.bytes} bytes are kept`);
}

export const target: FuzzTarget = {
  seeds: () => seeds,
  layout: (input) => valuesLayout(input, (text) => KINDS.test(text)),
  words: [
    "#",
    "#/$defs/a",
    "$ref",
    "anyOf",
    "^a*$",
    "\\\\p{L}",
    "json_schema",
    "regex",
    "integer",
    "array",
    "object",
    "string",
  ],
  edits: [edit],
  finish: replaceBroken(seeds, isSpec, edit),
  run,
  // What the tokenizer and a grammar's states are; JSON Schemas may be merged into 256 alternatives.
  isDocumented: (error) => error instanceof PronkError && error.code !== "engine_failed",
  planted: {
    name: "what no text ends stays in a grammar",
    file: "src/grammar/compile-grammar.ts",
    find: "callee.prune((inner) => ofLibrary(inner) || productive.has(inner));",
    replace: "",
  },
};
