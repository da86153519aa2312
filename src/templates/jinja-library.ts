/**
 * What we use of @huggingface/jinja, typed: its own declarations import files without extensions,
 * so under Node's module resolution they come out as `any`.
 */
import * as library from "@huggingface/jinja";

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
}

export type JinjaArguments = [args: JinjaValue[], named: Map<string, JinjaValue>];

export interface JinjaEnvironment {
  /** @throws Error when the name is taken. */
  set(name: string, value: unknown): JinjaValue;
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
}

interface JinjaLibrary {
  readonly Environment: new () => JinjaEnvironment;
  readonly Interpreter: new (environment: JinjaEnvironment) => JinjaInterpreter;
  tokenize(source: string, options: { lstrip_blocks: boolean; trim_blocks: boolean }): unknown[];
  parse(tokens: unknown[]): JinjaNode;
}

export const jinja: JinjaLibrary = library as unknown as JinjaLibrary;
