/** Chat templates: parsed, and rendered over messages; what a template asks for is bounded in time and memory. */
import { PronkError } from "../../../src/errors.ts";
import { CHATML_TEMPLATE } from "../../../src/templates/builtin/chatml.ts";
import { LLAMA2_TEMPLATE } from "../../../src/templates/builtin/llama2.ts";
import { LLAMA3_TEMPLATE } from "../../../src/templates/builtin/llama3.ts";
import type { ChatMessage } from "../../../src/templates/chat-template.ts";
import { createChatTemplate } from "../../../src/templates/jinja-template.ts";
import { TOOL_TEMPLATES } from "../../support/tool-templates.ts";
import {
  editJson,
  isRecord,
  jsonInput,
  jsonLayout,
  readJsonInput,
  replaceBroken,
} from "../json-input.ts";
import { Layout } from "../layout.ts";
import type { Random } from "../random.ts";
import type { FuzzTarget, Probe } from "../target.ts";
import { expression, growth, statement } from "../template-writer.ts";

const MESSAGES = [
  { role: "user", content: "Hi" },
  { role: "assistant", content: "Hello, b\n\nB" },
  { role: "user", content: "What is the weather in Bonn?" },
];
const TOOLS = [
  {
    type: "function",
    function: {
      name: "weather",
      description: "Of a city.",
      parameters: { type: "object", properties: { city: { type: "string" } } },
    },
  },
];

/** Loops, scopes, macros and filters, each with what the edits can make larger. */
const SMALL = [
  "{% for m in messages %}{{ m.role | upper }}: {{ m.content | trim }}{% endfor %}",
  "{% macro f(x, y=2) %}{{ x }}{% if y > 0 %}{{ f(x, y - 1) }}{% endif %}{% endmacro %}{{ f('a', 3) }}",
  "{% set ns = namespace(a='', n=0) %}{% for m in messages %}{% set ns.a = ns.a + m.content %}{% endfor %}{{ ns.a }}",
  "{% set x = messages | selectattr('role', 'equalto', 'user') | list %}{{ x | map(attribute='content') | join('|') }}",
  "{% for c in 'abc' %}{{ loop.index }}{{ c }}{% else %}none{% endfor %}{{ range(3) | list | tojson }}",
  "{% macro f(x) %}[{{ caller() }}]{% endmacro %}{% call f(1) %}{{ tools | tojson(indent=2) }}{% endcall %}",
  "{% filter upper %}{{ 'a b'.split() | join }}{% endfilter %}{{ {'b': 1, 'a': [2]} | dictsort | tojson }}",
];

const seeds = [
  ...Object.values(TOOL_TEMPLATES),
  CHATML_TEMPLATE,
  LLAMA2_TEMPLATE,
  LLAMA3_TEMPLATE,
  ...SMALL,
].map((template) => jsonInput({ template, messages: MESSAGES, options: { tools: TOOLS } }));

type Change = (template: string, random: Random) => string;

/** Where a statement may stand. */
const BETWEEN = /(?<=[%}]\})|(?=\{[%{])/g;

const insert =
  (write: (random: Random) => string): Change =>
  (template, random) => {
    const places = [
      0,
      template.length,
      ...[...template.matchAll(BETWEEN)].map(({ index }) => index),
    ];
    const at = random.pick(places);
    return template.slice(0, at) + write(random) + template.slice(at);
  };

const CHANGES: readonly Change[] = [
  insert((random) => statement(random)),
  insert((random) => statement(random)),
  insert((random) => growth(random) + statement(random)),
  // One part between marks becomes another.
  (template, random) => {
    const parts = template.split(/(?<=\{\{-? )([^{}]*)(?= -?\}\})/);
    if (parts.length > 1) parts[1 + 2 * random.below((parts.length - 1) / 2)] = expression(random);
    return parts.join("");
  },
  // All of it, many times.
  (template, random) =>
    `{% for i in range(${random.chance(0.1) ? 99_999 : random.between(2, 9)}) %}${template}{% endfor %}`,
  (template, random) => template + template.slice(random.below(template.length + 1)),
  (template, random) => {
    const depth = random.pick([10, 200, 3000]);
    const [open, close] = random.pick([
      ["(", ")"],
      ["[", "]"],
      ["{'a': ", "}"],
      ["not ", ""],
      ["1 + ", ""],
    ] as const);
    return `${template}{{ ${open.repeat(depth)}1${close.repeat(depth)} }}`;
  },
];

/** Without the template's own text, which edits of bytes mostly break: it has edits of its own. */
function layout(input: Uint8Array): Layout {
  const whole = jsonLayout(input);
  const rest = new Layout();
  // Behind its name.
  const { start, end } = whole.fields[1] ?? { start: 0, end: 0 };
  for (const field of whole.fields) {
    if (field.end <= start || field.start > end) rest.fields.push(field);
  }
  rest.sections.push(...whole.sections.filter((section) => section.start > end));
  return rest;
}

const edit = editJson((value, random: Random) => {
  const { template } = value;
  if (typeof template === "string") value.template = random.pick(CHANGES)(template, random);
});

function run(input: Uint8Array, probe: Probe): void {
  const { template, messages, options } = readJsonInput(input) ?? {};
  if (typeof template !== "string") throw new PronkError("bad_request", "input: no template");
  const parsed = createChatTemplate(template, { bos_token: "<s>", eos_token: "</s>" });
  probe.pastHeader();
  for (const [, word] of template.matchAll(/(?:\{%-? *|\| *|\.)(\w+)/g)) probe.saw(word!);
  try {
    const text = parsed.render(
      (Array.isArray(messages) ? messages : []) as ChatMessage[],
      isRecord(options) ? options : {},
    );
    if (text.length > 4_194_304) throw new Error(`${text.length} characters`);
    probe.saw(`${Math.floor(Math.log2(text.length + 1))} bits of text`);
  } catch (error) {
    const isRaised =
      error instanceof PronkError &&
      error.code === "bad_request" &&
      !error.message.startsWith("chat template: ");
    // In the template's own words: what they are is its affair, how many there are is not.
    if (!isRaised || error.message.length > 1100) throw error;
    probe.saw("raised");
  }
}

export const target: FuzzTarget = {
  seeds: () => seeds,
  layout,
  words: [
    "{% endfor %}",
    "{% else %}",
    "{{ x }}",
    "{{- ",
    " -%}",
    "role",
    "content",
    "system",
    "tool_calls",
  ],
  edits: [edit],
  finish: replaceBroken(seeds, ({ template }) => typeof template === "string", edit),
  run,
  planted: {
    name: "a rendering takes as many steps as it likes",
    file: "src/templates/template-budget.ts",
    find: "if (!(this.#steps <= MAX_STEPS)) throw",
    replace: "if (!(this.#steps <= MAX_STEPS * 1e9)) throw",
  },
};
