import { describe, expect, test } from "vitest";
import type { ChatMessage } from "../../../src/templates/chat-template.ts";
import { createChatTemplate, MAX_TEMPLATE_CHARS } from "../../../src/templates/jinja-template.ts";

const user = (content: string): ChatMessage => ({ role: "user", content });

function render(source: string, options: Record<string, unknown> = {}): string {
  return createChatTemplate(source, { bos_token: "<s>" }).render([user("Hi")], options);
}

test("blocks take the line break behind them and the spaces before them", () => {
  expect(render("{% if true %}\n  a\n  {% endif %}\nb")).toBe("  a\nb");
});

describe("templates see", () => {
  test.each<[string, string, Record<string, unknown>, string]>([
    ["the messages", "{{ messages[0].role }}: {{ messages[0]['content'] }}", {}, "user: Hi"],
    ["that an answer is wanted", "{{ add_generation_prompt }}", {}, "true"],
    [
      "that none is wanted",
      "{{ add_generation_prompt }}",
      { add_generation_prompt: false },
      "false",
    ],
    ["the special tokens", "{{ bos_token }}", {}, "<s>"],
    ["no token that the model lacks", "{{ eos_token is defined }}", {}, "false"],
    ["None for absent tools", "{{ tools is none }} {{ documents is none }}", {}, "true true"],
    [
      "tools, as Python writes JSON",
      "{{ tools | tojson }}",
      { tools: [{ a: "é", b: [1, null] }] },
      '[{"a": "é", "b": [1, null]}]',
    ],
    ["texts as lists of characters", "{% for c in 'aé😀' %}{{ c }},{% endfor %}", {}, "a,é,😀,"],
    [
      "filters of Python's",
      "{{ '%s is %d%%' | format('x', 7) }}{{ nothing | trim }}",
      {},
      "x is 7%",
    ],
    [
      "members of no name as undefined",
      "{{ {'a': 1}[nothing] is defined }} {{ {'a': 1}[['a']] is defined }}",
      {},
      "false false",
    ],
    ["further variables", "{{ enable_thinking }}", { enable_thinking: true }, "true"],
    [
      "ranges and namespaces",
      "{% set n = namespace(s=0) %}{% for i in range(1, 8, 2) %}{% set n.s = n.s + i %}{% endfor %}{{ n.s }}",
      {},
      "16",
    ],
    [
      "ranges downwards",
      "{% for i in range(3, 0, -1) %}{{ i }}{% endfor %}{% for i in range(2) %}{{ i }}{% endfor %}",
      {},
      "32101",
    ],
    [
      "break and continue",
      "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
      {},
      "02",
    ],
    ["macros", "{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f('a') }}", {}, "<a>"],
    ["generation blocks", "{% generation %}a{% endgeneration %}", {}, "a"],
    ["no clock, unless one is given", "{{ strftime_now is defined }}", {}, "false"],
  ])("%s", (_, source, options, expected) => {
    expect(render(source, options)).toBe(expected);
  });
});

test("the date comes from the given clock", () => {
  const now = (): Date => new Date(Date.UTC(2024, 6, 4, 13, 5, 9));
  const template = createChatTemplate("{{ strftime_now('%d %b %Y, %H:%M') }}", { now });
  expect(template.render([])).toBe("04 Jul 2024, 13:05");
});

test("a template may be rendered again and again", () => {
  const template = createChatTemplate("{% set x = messages[0].content %}{{ x }}");
  expect(template.render([user("a")])).toBe("a");
  expect(template.render([user("b")])).toBe("b");
});

test("what a template raises is the caller's error, in the template's own words", () => {
  expect(() => render("{{ raise_exception('roles must alternate') }}")).toThrow(
    expect.objectContaining({
      code: "bad_request",
      message: "roles must alternate",
      param: "messages",
    }),
  );
});

describe("a rendering is refused", () => {
  const forever =
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}";
  const doubling =
    "{% set n = namespace(x='ab') %}{% for i in range(64) %}{% set n.x = n.x ~ n.x %}{% endfor %}";
  const growing =
    "{% set n = namespace(x=[1]) %}{% for i in range(64) %}{% set n.x = n.x + n.x %}{% endfor %}";
  test.each<[string, string, Record<string, unknown>, string]>([
    ["for an operation on None", "{{ messages[0].name + none }}", {}, "chat template: Cannot"],
    [
      "for a break that leaves nothing",
      "{% break %}",
      {},
      "chat template: break outside of a loop",
    ],
    [
      "for a continue of nothing",
      "{% if 1 %}{% continue %}{% endif %}",
      {},
      "chat template: continue outside",
    ],
    ["for a name that is a function of Jinja", "a", { range: 1 }, "already declared: range"],
    ["that does not end", forever, {}, "more than 300000 steps"],
    ["whose text doubles", doubling, {}, "characters"],
    ["whose list doubles", growing, {}, "a list of"],
    [
      "that formats too long a text",
      `{% set n = namespace(s='${"x".repeat(1000)}') %}{% for i in range(12) %}{% set n.s = n.s + n.s %}{% endfor %}{{ '%s%s' | format(n.s, n.s) }}`,
      {},
      "characters",
    ],
    ["with a range too long", "{{ range(1000000000) }}", {}, "a range of 1000000000"],
    ["with a range that stands still", "{{ range(0, 1, 0) }}", {}, "a range of"],
    [
      "that writes too much",
      "{% for i in range(100000) %}{{ x }}{% endfor %}",
      { x: "a".repeat(4000) },
      "chat template: ",
    ],
    [
      "that calls itself for ever",
      "{% macro f(g) %}{{ g(g) }}{% endmacro %}{{ f(f) }}",
      {},
      "chat template: ",
    ],
  ])("%s", (_, source, options, message) => {
    expect(() => render(source, options)).toThrow(
      expect.objectContaining({
        code: "bad_request",
        message: expect.stringContaining(message),
        param: "messages",
      }),
    );
  });

  test("for values that are nested without end", () => {
    let tools: unknown[] = [];
    for (let depth = 0; depth < 100_000; depth++) tools = [tools];
    expect(() => render("{{ tools | tojson }}", { tools })).toThrow(
      expect.objectContaining({ code: "bad_request" }),
    );
  });
});

describe("an operation that would make far too much is refused before it makes it", () => {
  // A million letters, in twenty steps.
  const long =
    "{% set n = namespace(x='a\\n') %}{% for i in range(19) %}{% set n.x = n.x ~ n.x %}{% endfor %}";
  // A list of lists, each of which is there twice: 2^40 numbers.
  const shared =
    "{% set n = namespace(x=[1]) %}{% for i in range(40) %}{% set n.x = [n.x, n.x] %}{% endfor %}";
  const list =
    "{% set n = namespace(x=[1]) %}{% for i in range(16) %}{% set n.x = n.x + n.x %}{% endfor %}";
  test.each([
    ["the method replace", `${long}{{ n.x.replace('a', n.x) | length }}`],
    ["the method by a computed name", `${long}{{ n.x['rep' ~ 'lace']('', n.x) | length }}`],
    ["the filter replace", `${long}{{ n.x | replace('a', n.x) | length }}`],
    ["a filter block", `${long}{% filter replace('a', n.x) %}{{ n.x }}{% endfilter %}`],
    ["join of a text", `${long}{{ n.x | join(n.x) | length }}`],
    ["join of a list", `${list}{{ n.x | join('${"b".repeat(1000)}') | length }}`],
    ["join by name", `${list}{{ n.x | join(separator='${"b".repeat(1000)}') | length }}`],
    ["indent", `${long}{{ n.x | indent(100000) | length }}`],
    ["indent by name", `${long}{{ n.x | indent(width=400000000) | length }}`],
    ["split", `${long}{{ n.x.split('a') | length }}`],
    ["split at white space", `${long}{{ n.x.split() | length }}`],
    ["tojson with an indent", "{{ [[1, 2]] | tojson(indent=200000000) | length }}"],
    ["tojson with separators", `${long}{{ range(100) | tojson(separators=(n.x, n.x)) | length }}`],
    ["tojson of shared parts", `${shared}{{ n.x | tojson | length }}`],
    ["shared parts as text", `${shared}{{ n.x }}`],
    ["shared parts in a text", `${shared}{{ ('' ~ n.x) | length }}`],
    ["shared parts under a filter", `${shared}{{ n.x | string | length }}`],
    ["a namespace that holds itself", "{% set n = namespace() %}{% set n.x = n %}{{ n }}"],
  ])("%s", (_, source) => {
    const before = process.memoryUsage().rss;
    const start = process.cpuUsage();
    expect(() => render(source)).toThrow(
      expect.objectContaining({
        code: "bad_request",
        message: expect.stringMatching(/ characters$| a list of \d+ items$/),
      }),
    );
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1000).toBeLessThan(2000);
    expect(process.memoryUsage().rss - before).toBeLessThan(150e6);
  });

  test("what stays within the limits is made", () => {
    expect(render("{{ 'a-b'.replace('-', '--') }}{{ 'a-b' | replace('-', '+', 1) }}")).toBe(
      "a--ba+b",
    );
    expect(render("{{ 'aXbXc'.split('X', 1) | join('|') }}{{ ' a b'.split() | join(',') }}")).toBe(
      "a|bXca,b",
    );
    expect(render("{{ 'a\nb' | indent(2, first=true) }}{{ [1, [2]] | tojson(indent=1) }}")).toBe(
      "  a\n  b[\n 1,\n [\n  2\n ]\n]",
    );
    expect(render("{{ {'replace': 1}.replace }}{{ messages[0].content.upper() }}")).toBe("1HI");
  });
});

describe("an operation that looks at far more than it makes is refused before long", () => {
  const grown = (name: string, text: string, doublings: number): string =>
    `{% set ${name} = '${text}' %}${`{% set ${name} = ${name} + ${name} %}`.repeat(doublings)}`;
  const often = (body: string): string => `{% for i in range(90000) %}${body}{% endfor %}`;
  test.each([
    [
      "sorting long texts",
      `${grown("x", "aB", 17)}{% set l = [x, x + 'b', x + 'c'] %}${often("{% set y = l | sort %}")}`,
    ],
    [
      "a list compared with a text",
      `${grown("x", "a", 20)}{% set l = [x] %}${often("{% set y = l == 'a' %}")}`,
    ],
    [
      "a path of many names for many items",
      `${grown("p", "a.", 15)}{% set l = [{'a': 1}] %}${"{% set l = l + l %}".repeat(15)}{{ l | map(attribute=p) | length }}`,
    ],
    [
      "sorting by a path of many names",
      `${grown("p", "a.", 12)}{% set l = [{'a': 1}] %}${"{% set l = l + l %}".repeat(15)}{{ l | sort(attribute=p) | length }}`,
    ],
    [
      "the case of long texts",
      `${grown("x", "ab", 20)}{% set l = [{'a': x}] %}${often("{% set y = l | selectattr('a', 'lower') %}")}`,
    ],
    [
      "a long text in a longer one",
      `${grown("x", "a", 21)}${grown("y", "a", 20)}${often("{% set z = y + 'b' + y in x %}")}`,
    ],
    [
      "a long text replaced in a longer one",
      `${grown("x", "a", 20)}${grown("y", "a", 14)}{{ x.replace(y + 'b', '') | length }}`,
    ],
    [
      "a method that is kept",
      `${grown("x", "a", 20)}{% set f = x.split %}${often("{% set y = f('b') %}")}`,
    ],
    ["a slice of a long text", `${grown("x", "é", 20)}${often("{% set y = x[:1] %}")}`],
    [
      "a list that is written over and over",
      `${grown("x", "é", 20)}{% set l = [x] %}${often("{{ l }}")}`,
    ],
    [
      "macros that are defined over and over",
      often(`{% macro f() %}${"{{ a }}".repeat(8000)}{% endmacro %}`),
    ],
    [
      "loops that are left at once",
      `{% set l = range(99999) %}${often("{% for i in l %}{% break %}{% endfor %}")}`,
    ],
    [
      "names that nobody knows, from deep inside",
      `{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{% else %}${often("{% set a = b %}")}{% endif %}{% endmacro %}{{ f(400) }}`,
    ],
    [
      "a namespace of many parts",
      `{% set n = namespace() %}{% for i in range(9000) %}{% set n.l = (n.l or []) + [i] %}{% endfor %}${often("{% set n.x = 1 %}{% set a = n %}{% set b = n %}")}`,
    ],
    [
      "a namespace that grows inside a list",
      `{% set n = namespace(a=1) %}{% set l = [n] %}${"{% set l = l + l %}".repeat(16)}${grown("x", "a", 18)}{% set n.a = x %}{{ l | tojson | length }}`,
    ],
    [
      "namespaces of namespaces",
      `{% set a = namespace() %}${"{% set a = namespace(x=a, y=a) %}".repeat(60)}{{ a.x }}`,
    ],
  ])("%s", (_, source) => {
    const before = process.memoryUsage().rss;
    const start = process.cpuUsage();
    expect(() => render(source)).toThrow(
      expect.objectContaining({
        code: "bad_request",
        message: expect.stringMatching(/ characters$| items$| steps$/),
      }),
    );
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1000).toBeLessThan(2000);
    expect(process.memoryUsage().rss - before).toBeLessThan(150e6);
  });
});

test("items are chosen by their attributes", () => {
  const messages = [user("a"), { role: "system", content: "b" }, user("c")];
  const source =
    "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join }}" +
    "{{ messages | rejectattr('role', 'equalto', 'user') | list | length }}";
  expect(createChatTemplate(source).render(messages)).toBe("ac1");
});

test("what a template raises is cut where it is long", () => {
  const source = "{{ raise_exception(messages[0].content) }}";
  const refused = (): string => createChatTemplate(source).render([user("a".repeat(1e6))]);
  expect(refused).toThrow(/^a{1000}\.\.\.$/);
});

test("a thousand messages fit well into the limits", () => {
  const source =
    "{% for m in messages %}{% if m.role == 'user' and loop.index0 < messages | length %}" +
    "{{ '<|im_start|>' + m.role + '\\n' + m.content | trim + '<|im_end|>' }}{% endif %}{% endfor %}";
  const messages = Array.from({ length: 1000 }, () => user("word ".repeat(200)));
  expect(createChatTemplate(source).render(messages).length).toBeGreaterThan(1_000_000);
});

test("an error shows no character of the template's that a terminal would follow", () => {
  expect(() => createChatTemplate("{{ \u001b[2J }}")).toThrow(/^chat template: .*\\u001b$/);
});

describe("a template is refused", () => {
  test.each([
    ["that is not Jinja", "{% for %}"],
    ["that does not end", "{% if true %}a"],
    ["that is too long", "a".repeat(MAX_TEMPLATE_CHARS + 1)],
    ["with far too many spaces", `a${" ".repeat(MAX_TEMPLATE_CHARS - 2)}b`],
    ["that is nested without end", `{{ ${"(".repeat(30_000)}1${")".repeat(30_000)} }}`],
  ])("%s", (_, source) => {
    expect(() => createChatTemplate(source)).toThrow(
      expect.objectContaining({
        code: "bad_format",
        message: expect.stringContaining("chat template: "),
      }),
    );
  });
});
