/** What a model's text becomes: elements of this page's own, and nothing that runs or loads. */
import type { ComponentChild, ComponentChildren, VNode } from "preact";
import { describe, expect, test, vi } from "vitest";
import { Markdown } from "../../../src/playground/chat/markdown.tsx";

// Outside of a page no component has state of its own.
vi.mock("preact/hooks", () => ({ useState: (make: () => unknown) => [make(), () => {}] }));

interface Element {
  readonly tag: string;
  readonly props: Readonly<Record<string, unknown>>;
  readonly inner: readonly (Element | string)[];
}

/** The elements that a browser would be given; components are drawn, those with state of their own are not. */
function drawn(node: ComponentChildren): (Element | string)[] {
  if (Array.isArray(node)) return node.flatMap(drawn);
  if (node === null || node === undefined || typeof node === "boolean") return [];
  if (typeof node !== "object") return [String(node)];
  const { type, props } = node as VNode<{ children?: ComponentChildren }>;
  if (typeof type === "string") return [{ tag: type, props, inner: drawn(props.children) }];
  if (type.name === "CopyButton") return [];
  const isClass = type.prototype && "render" in type.prototype;
  // biome-ignore lint/suspicious/noExplicitAny: a component, of either kind
  const make = type as any;
  const made: ComponentChild = isClass ? new make(props).render(props) : make(props);
  return drawn(made);
}

const allIn = (nodes: readonly (Element | string)[]): Element[] =>
  nodes.flatMap((node) => (typeof node === "string" ? [] : [node, ...allIn(node.inner)]));
const textIn = (nodes: readonly (Element | string)[]): string =>
  nodes.map((node) => (typeof node === "string" ? node : textIn(node.inner))).join("");

const elements = (text: string): Element[] => allIn(drawn(Markdown({ text })));
const textOf = (text: string): string => textIn(drawn(Markdown({ text })));

describe("a text in Markdown", () => {
  test.each([
    ["**a** and _b_ and ~~c~~", ["p", "strong", "em", "del"]],
    ["# One\n\n###### Six", ["h3", "h6"]],
    ["1. a\n2. b\n   - c", ["ol", "li", "li", "ul", "li"]],
    ["> said", ["blockquote", "p"]],
    ["`x`", ["p", "code"]],
    ["```js\nx\n```", ["figure", "figcaption", "span", "pre", "code"]],
    [
      "| a | b |\n|---|--:|\n| 1 | 2 |",
      ["div", "table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"],
    ],
    ["a\n\n---\n\nb", ["p", "hr", "p"]],
  ])("%j has its elements", (text, tags) => {
    const found = elements(text).map(({ tag }) => tag);
    expect(found.slice(1)).toEqual(tags); // in the page's own div
  });

  test("a list goes on from its first number", () => {
    expect(elements("4. d\n5. e").find(({ tag }) => tag === "ol")?.props.start).toBe(4);
  });

  test("code that has not ended yet is code", () => {
    expect(textOf("```python\ndef a():")).toBe("pythondef a():");
  });

  test("entities stay as they were written", () => {
    expect(textOf("&lt;b&gt; & <b>")).toContain("<b>");
  });
});

describe("no text of a model", () => {
  const HOSTILE = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "<iframe src=https://a.example></iframe>",
    "text <b onclick=alert(1)>bold</b>",
    "![pixel](https://tracker.example/pixel.gif)",
    "![a](data:image/svg+xml;base64,PHN2Zz4=)",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](java&#115;cript:alert(1))",
    "[a](data:text/html,x)",
    "[a](vbscript:x)",
    "[a](//a.example)",
    "[a](/v1/models)",
    "[a](#settings)",
    "[a]: javascript:alert(1)\n\n[a]",
    "<javascript:alert(1)>",
    "<https://a.example>",
  ];

  test.each(HOSTILE)("%s runs, loads or leads anywhere but to the web", (text) => {
    const found = elements(text);
    const known = new Set(["div", "p", "a"]);
    expect(found.filter(({ tag }) => !known.has(tag))).toEqual([]);
    for (const { props } of found) {
      const names = Object.keys(props).filter((name) => /^on|src|style|innerHTML/i.test(name));
      expect(names).toEqual([]);
      if ("href" in props) {
        expect(props.href).toMatch(/^https?:\/\//);
        expect(props.rel).toBe("noopener noreferrer nofollow");
      }
    }
  });

  test("HTML is text that is read", () => {
    expect(textOf("<script>alert(1)</script>")).toContain("<script>alert(1)</script>");
  });

  test("an image is a link that says what it is", () => {
    const [link] = elements("![a cat](https://a.example/cat.png)").filter(({ tag }) => tag === "a");
    expect(link?.props.href).toBe("https://a.example/cat.png");
    expect(textOf("![a cat](https://a.example/cat.png)")).toBe("[image: a cat]");
  });

  test("mail and the web can be followed", () => {
    const links = elements("[m](mailto:a@b.example) [w](http://b.example/x)").filter(
      ({ tag }) => tag === "a",
    );
    expect(links.map(({ props }) => props.href)).toEqual([
      "mailto:a@b.example",
      "http://b.example/x",
    ]);
  });

  test.each([
    ["quotes", ">".repeat(5000)],
    ["lists", Array.from({ length: 500 }, (_, i) => `${"  ".repeat(i)}- a`).join("\n")],
    ["stars", "*".repeat(20_000)],
    ["brackets", "[".repeat(20_000)],
    ["emphasis", "_a ".repeat(5000)],
    ["tables", `|${"a|".repeat(2000)}\n|${"-|".repeat(2000)}\n`],
  ])("thousands of %s are too deep for it", (_, text) => {
    expect(elements(text).length).toBeGreaterThan(0);
  });
});
