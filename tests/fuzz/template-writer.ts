/** Jinja by chance: expressions and statements that a chat template may have, and what attacks with them. */
import type { Random } from "./random.ts";

const NAMES = [
  ...[
    "messages",
    "message",
    "tools",
    "documents",
    "bos_token",
    "x",
    "y",
    "ns",
    "ns.a",
    "loop.index",
    "loop",
  ],
  ...[
    "loop.previtem",
    "nothing",
    "range",
    "namespace",
    "caller()",
    "f",
    "m.content",
    "m",
    "true",
    "none",
  ],
];
const FILTERS = [
  ...[
    "trim",
    "length",
    "upper",
    "lower",
    "title",
    "capitalize",
    "list",
    "first",
    "last",
    "reverse",
    "sort",
  ],
  ...[
    "unique",
    "join",
    "string",
    "int",
    "float",
    "tojson",
    "items",
    "dictsort",
    "indent",
    "safe",
    "abs",
  ],
  ...[
    "join(', ')",
    "join(x)",
    "indent(9)",
    "indent(width=99999)",
    "tojson(indent=4)",
    "replace('a', x)",
  ],
  ...[
    "tojson(indent=100000)",
    "tojson(separators=(x, x))",
    "sort(attribute='role')",
    "sort(attribute=x)",
  ],
  ...[
    "map(attribute='content')",
    "map(attribute=x)",
    "selectattr('role', 'equalto', 'user')",
    "default(x)",
  ],
  ...[
    "selectattr('content', 'lower')",
    "rejectattr('role')",
    "sort(reverse=true)",
    "dictsort(by='value')",
  ],
  ...[
    "format(x, y)",
    "replace('', x)",
    "replace(x, y, 3)",
    "tojson(sort_keys=true, ensure_ascii=true)",
  ],
];
const METHODS = [
  ...[
    "split()",
    "split('a')",
    "split(x)",
    "replace('a', x)",
    "replace('', x)",
    "upper()",
    "strip()",
    "title()",
  ],
  ...[
    "startswith('a')",
    "endswith(x)",
    "items()",
    "keys()",
    "values()",
    "get('a')",
    "dictsort()",
    "rstrip()",
  ],
  ...["split(x, 2)", "get('role', x)", "lstrip", "upper", "content", "role", "a.b"],
];
const OPERATORS = [
  "+",
  "~",
  "==",
  "!=",
  "in",
  "not in",
  "and",
  "or",
  "*",
  "-",
  "/",
  "%",
  "//",
  "**",
  "<",
  ">=",
];
const TESTS = [
  "defined",
  "none",
  "string",
  "mapping",
  "lower",
  "iterable",
  "odd",
  "not defined",
  "sequence",
  "upper",
];
const FEW = [0, 1, 2, 3, 4, 5, 7, 10, 20];
const MANY = [100, 1000, 99_999, 100_001, 1_000_000_000];

/** Mostly few: an input that goes on to the limits takes as long as a thousand others. */
function count(random: Random): number {
  return random.pick(random.chance(0.1) ? MANY : FEW);
}

export function expression(random: Random, depth = 3): string {
  const inner = (): string => expression(random, depth - 1);
  switch (random.below(depth > 0 ? 14 : 4)) {
    case 0:
    case 1:
      return random.pick(NAMES);
    case 2:
      return random.pick(["'a'", "'ab\\n'", "''", "'role'", "'%s%d'", "'é😀'", "'content'"]);
    case 3:
      return String(count(random));
    case 4:
      return `range(${count(random)})`;
    case 5:
    case 6:
      return `(${inner()} ${random.pick(OPERATORS)} ${inner()})`;
    case 7:
    case 8:
      return `${inner()} | ${random.pick(FILTERS)}`;
    case 9:
      return `(${inner()}).${random.pick(METHODS)}`;
    case 10:
      return `[${inner()}, ${inner()}]`;
    case 11:
      return `{'a': ${inner()}, 'role': ${inner()}}`;
    case 12:
      return `(${inner()})[${random.pick([":1", "::-1", "1:", "0", "'a'", "-1", ":x", "x"])}]`;
    default:
      return random.chance(0.5)
        ? `(${inner()} if ${inner()} is ${random.pick(TESTS)} else ${inner()})`
        : `f(${inner()}, ${random.chance(0.5) ? "y=" : "*"}${inner()})`;
  }
}

export function statement(random: Random, depth = 2): string {
  const inner = (): string =>
    Array.from({ length: random.between(1, 2) }, () => statement(random, depth - 1)).join("");
  const value = (): string => expression(random, random.below(4));
  switch (random.below(depth > 0 ? 14 : 6)) {
    case 0:
      return `{{ ${value()} }}`;
    case 1:
      return `{%- set x = ${value()} -%}`;
    case 2:
      return `{% set ns.a = ${value()} %}`;
    case 3:
      return `{% set x = x ${random.pick(["+", "~"])} ${random.pick(["x", "y", "[x]", "'a'", "ns.a"])} %}`;
    case 4:
      return `{% set y = ${value()} %}`;
    case 5:
      return random.pick([
        "{% break %}",
        "{% continue %}",
        "text\n",
        "{# a note #}",
        "{{ raise_exception(x) }}",
      ]);
    case 6:
    case 7:
      return `{% for m in ${value()} %}${inner()}{% endfor %}`;
    case 8:
      return `{% for m in range(${count(random)}) %}${inner()}{% endfor %}`;
    case 9:
      return `{% if ${value()} %}${inner()}{% else %}${inner()}{% endif %}`;
    case 10:
      return `{% macro f(x, y=1) %}${inner()}{% endmacro %}`;
    case 11:
      return `{% call f(${value()}) %}${inner()}{% endcall %}`;
    case 12:
      return `{% filter ${random.pick(FILTERS)} %}${inner()}{% endfilter %}`;
    default:
      return `{% for m in ${value()} if ${value()} %}${inner()}{% endfor %}`;
  }
}

/** Text, list or map of some size, made in few steps. */
export function growth(random: Random): string {
  const start = random.pick([
    "'ab'",
    "'a\\n'",
    "'é'",
    "[1]",
    "[x]",
    "[m]",
    "[messages]",
    "['bA', 'Ab']",
    "[{'a': 1}]",
  ]);
  const more = random.pick(["x + x", "x + x", "[x, x]", "x ~ x", "[ns] + [x]", "{'a': x, 'b': x}"]);
  const name = random.pick(["x", "x", "y"]);
  const step = `{% set ${name} = ${more.replaceAll("x", name)} %}`;
  const first = `{% set ns = namespace(a=1) %}{% set ${name} = ${start} %}`;
  return first + step.repeat(random.below(random.chance(0.2) ? 22 : 7));
}
