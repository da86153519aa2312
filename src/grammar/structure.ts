/**
 * Grammars put together of literal texts and JSON Schemas: what a format around values looks like, as data that can be a
 * cache's key.
 */
import { PronkError } from "../errors.ts";
import {
  choice,
  type Expression,
  type Grammar,
  literal,
  repeat,
  rule,
  sequence,
} from "./expression.ts";
import { compileJsonSchema } from "./json-schema/compile-json-schema.ts";
import { COMMA, JSON_RULES } from "./json-text.ts";
import { textWithout } from "./text-without.ts";

export type Structure =
  /** This text. */
  | string
  | { readonly sequence: readonly Structure[] }
  | { readonly choice: readonly Structure[] }
  /** `max` absent: without end. */
  | { readonly repeat: Structure; readonly min: number; readonly max?: number }
  /** In this order, with commas between those that are there. */
  | { readonly members: readonly { readonly text: Structure; readonly required: boolean }[] }
  | SchemaStructure
  /** Any JSON object. */
  | { readonly object: true }
  /** A text in which none of these occurs, or that begins with none of them. */
  | { readonly textWithout: readonly string[]; readonly at: "start" | "anywhere" };

/** A JSON value that is valid under a schema. */
export interface SchemaStructure {
  readonly schema: unknown;
  /** Not a value of the schema's, but of this one of its properties. */
  readonly property?: string;
  /** For errors: the field that the schema came in. */
  readonly where: string;
  /** What comes instead where the schema is not supported. Absent: that is an error. */
  readonly otherwise?: Structure;
}

/** @throws PronkError "unsupported", "bad_request" with the schema's `where` as param. */
export function compileStructure(root: Structure): Grammar {
  return new StructureCompiler().compile(root);
}

class StructureCompiler {
  readonly #rules: Map<string, Expression> = new Map(JSON_RULES);
  /** Start rules by schema and property. */
  readonly #schemas: Map<string, string> = new Map();

  compile(root: Structure): Grammar {
    const start = this.#define(this.#write(root));
    return { start, rules: this.#rules, nothing: "structure: no text has it" };
  }

  readonly #define = (expression: Expression): string => {
    const name = `structure/${this.#rules.size}`;
    this.#rules.set(name, expression);
    return name;
  };

  #write(part: Structure): Expression {
    if (typeof part === "string") return literal(part);
    if ("sequence" in part) return sequence(...part.sequence.map((item) => this.#write(item)));
    if ("choice" in part) return choice(...part.choice.map((item) => this.#write(item)));
    if ("repeat" in part) {
      return repeat(this.#write(part.repeat), part.min, part.max ?? Number.POSITIVE_INFINITY);
    }
    if ("members" in part) {
      const items = part.members.map(({ text, required }) => ({
        text: this.#write(text),
        required,
      }));
      return { type: "list", separator: COMMA, items };
    }
    if ("object" in part) return rule("object");
    if ("textWithout" in part) return textWithout(part.textWithout, part.at, this.#define);
    return this.#schema(part);
  }

  #schema({ schema, property, where, otherwise }: SchemaStructure): Expression {
    const key = JSON.stringify([schema, property]);
    const known = this.#schemas.get(key);
    if (known !== undefined) return rule(known);
    let grammar: Grammar;
    try {
      grammar = compileJsonSchema(schema, property);
    } catch (cause) {
      if (!(cause instanceof PronkError)) throw cause;
      if (otherwise !== undefined) return this.#write(otherwise);
      throw new PronkError(cause.code, `${where}: ${cause.message}`, { cause, param: where });
    }
    const prefix = `part${this.#schemas.size}/`;
    const rename = (name: string): string => (JSON_RULES.has(name) ? name : `${prefix}${name}`);
    for (const [name, expression] of grammar.rules) {
      if (!JSON_RULES.has(name)) this.#rules.set(rename(name), renamed(expression, rename));
    }
    const start = rename(grammar.start);
    this.#schemas.set(key, start);
    return rule(start);
  }
}

function renamed(expression: Expression, rename: (name: string) => string): Expression {
  switch (expression.type) {
    case "rule":
      return rule(rename(expression.name));
    case "sequence":
    case "choice":
      return {
        type: expression.type,
        items: expression.items.map((item) => renamed(item, rename)),
      };
    case "repeat":
      return { ...expression, item: renamed(expression.item, rename) };
    case "list":
      return {
        type: "list",
        separator: renamed(expression.separator, rename),
        items: expression.items.map(({ text, required }) => ({
          text: renamed(text, rename),
          required,
        })),
      };
    case "both":
    case "except":
      return {
        type: expression.type,
        item: renamed(expression.item, rename),
        filter: renamed(expression.filter, rename),
      };
    default:
      return expression;
  }
}
