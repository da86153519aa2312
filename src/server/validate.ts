/**
 * Checks a body against the schema that also documents it, and says what is wrong with the first
 * field at fault: `temperature: expected a number of at most 2, got 3`, param `temperature`.
 */
import * as z from "zod/mini";
import { PronkError } from "../errors.ts";

/**
 * Stop at the first fault: a list of half a million wrong elements must not become half a million
 * issues. No generated code: it is forbidden under strict content security policies. The first is
 * an option of zod's that its types keep to `validate`, which has no issues to report.
 */
const PARSE_OPTIONS = { abortEarly: true, jitless: true, reportInput: true } as {
  jitless: true;
  reportInput: true;
};

/** @throws PronkError "bad_request" with the field's path as its param. */
export function validate<T>(schema: z.ZodMiniType<T>, body: unknown): T {
  const result = z.safeParse(schema, body, PARSE_OPTIONS);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue === undefined) throw new PronkError("bad_request", "body: malformed");
  const { path, problem } = explain(issue);
  const param = toParam(path);
  throw new PronkError("bad_request", `${param || "body"}: ${problem}`, param ? { param } : {});
}

interface Fault {
  readonly path: readonly PropertyKey[];
  readonly problem: string;
}

function explain(issue: z.core.$ZodIssue): Fault {
  const { path } = issue;
  const got = issue.input === undefined ? "nothing" : describe(issue.input);
  switch (issue.code) {
    case "invalid_type":
      return { path, problem: `expected ${NOUNS[issue.expected] ?? issue.expected}, got ${got}` };
    case "invalid_value":
      return { path, problem: `expected ${issue.values.map(quote).join(" or ")}, got ${got}` };
    case "too_small": {
      const bound = `${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}`;
      return { path, problem: `expected ${bound}${UNITS[issue.origin] ?? ""}, got ${got}` };
    }
    case "too_big": {
      const bound = `${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}`;
      return { path, problem: `expected ${bound}${UNITS[issue.origin] ?? ""}, got ${got}` };
    }
    case "invalid_union":
      return explainUnion(issue, got);
    case "invalid_key":
      return { path, problem: `unexpected key ${quote(path.at(-1))}` };
    default:
      return { path, problem: `${issue.message}, got ${got}` };
  }
}

/** The alternative that got furthest is the one that was meant. */
function explainUnion(issue: z.core.$ZodIssueInvalidUnion, got: string): Fault {
  const faults = issue.errors
    .flatMap((issues) => issues.slice(0, 1))
    .map(explain)
    .sort((a, b) => reach(b) - reach(a));
  const [furthest] = faults;
  if (furthest === undefined) return { path: issue.path, problem: `unknown kind, got ${got}` };
  if (furthest.path.length > 0) {
    return { path: [...issue.path, ...furthest.path], problem: furthest.problem };
  }
  const expected = faults.flatMap(
    ({ problem }) => /^expected (.*), got /s.exec(problem)?.[1] ?? [],
  );
  return {
    path: issue.path,
    problem: `expected ${[...new Set(expected)].join(" or ")}, got ${got}`,
  };
}

/** Depth first, then the position in a list; no list is as long as the factor. */
function reach({ path }: Fault): number {
  const [first] = path;
  return path.length * 2 ** 32 + (typeof first === "number" ? first : 0);
}

/** `messages[0].content[1].text` */
function toParam(path: readonly PropertyKey[]): string {
  return path.reduce<string>((param, key) => {
    if (typeof key === "number") return `${param}[${key}]`;
    const name = shorten(String(key));
    return param === "" ? name : `${param}.${name}`;
  }, "");
}

const NOUNS: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "an integer",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
  nonoptional: "a value",
};

const UNITS: Readonly<Record<string, string>> = { string: " characters", array: " items" };

/** Characters of a wrong value or key that an error repeats. */
const MAX_QUOTED = 40;

function quote(value: unknown): string {
  return shorten(typeof value === "string" ? JSON.stringify(value) : String(value));
}

function shorten(text: string): string {
  return text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return value === "" ? "an empty string" : quote(value);
}
