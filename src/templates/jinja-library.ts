/**
 * What we use of @huggingface/jinja, typed: its own declarations import files without extensions,
 * so under Node's module resolution they come out as `any`.
 */
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";

/** A statement or expression of a parsed template. */
export interface JinjaNode {
  readonly type: string;
}

/** A value at run time: `value` is a string, number, boolean, null, array of these or Map. */
export interface JinjaValue {
  readonly type: string;
  readonly value: unknown;
  /** Methods and attributes by name. */
  readonly builtins?: ReadonlyMap<string, JinjaValue>;
  /** What it is as a condition. */
  __bool__(): { readonly value: boolean };
}

export type JinjaArguments = [args: JinjaValue[], named: Map<string, JinjaValue>];

export interface JinjaEnvironment {
  readonly parent?: JinjaEnvironment | undefined;
  readonly variables: ReadonlyMap<string, JinjaValue>;
  /** @throws Error when the name is taken. */
  set(name: string, value: unknown): JinjaValue;
  /** In this scope, whether there is one of this name or not. */
  setVariable(name: string, value: JinjaValue): JinjaValue;
}

export interface JinjaInterpreter {
  run(program: JinjaNode): JinjaValue;
  /** Called for every node, by the interpreter itself too. */
  evaluate(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue;
  /** `filter` is a name, or a call with arguments. */
  applyFilter(operand: JinjaValue, filter: JinjaNode, environment: JinjaEnvironment): JinjaValue;
  evaluateArguments(args: JinjaNode[], environment: JinjaEnvironment): JinjaArguments;
  evaluateMemberExpression(node: JinjaNode, environment: JinjaEnvironment): JinjaValue;
  /** `node` has an `iterable`. */
  evaluateFor(node: JinjaNode, environment: JinjaEnvironment): JinjaValue;
  /** The text of each of the statements, one behind the other. */
  evaluateBlock(statements: readonly JinjaNode[], environment: JinjaEnvironment): JinjaValue;
  /** `node` has `left`, `right` and an operator. */
  evaluateBinaryExpression(node: JinjaNode, environment: JinjaEnvironment): JinjaValue;
  /** `node` has the name of a variable. */
  evaluateIdentifier(node: JinjaNode, environment: JinjaEnvironment): JinjaValue;
}

interface JinjaLibrary {
  readonly Environment: new (parent?: JinjaEnvironment) => JinjaEnvironment;
  readonly Interpreter: new (environment: JinjaEnvironment) => JinjaInterpreter;
  tokenize(source: string, options: { lstrip_blocks: boolean; trim_blocks: boolean }): unknown[];
  parse(tokens: unknown[]): JinjaNode;
}

// By their names, so that bundlers leave the rest of it out.
export const jinja: JinjaLibrary = {
  Environment,
  Interpreter,
  tokenize,
  parse,
} as unknown as JinjaLibrary;
