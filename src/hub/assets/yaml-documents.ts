/**
 * YAML streams from users, in bounded time and memory: length, depth, entries of a collection and
 * what aliases expand to are limited before values are made.
 *
 * YAML 1.2 with its core schema, as fairseq2's reader: `True` and `true` are booleans, `yes` is text.
 */
import { Composer, type CST, Lexer, Parser } from "yaml";
import { PronkError } from "../../errors.ts";

/** fairseq2's own cards of all model families are 20 KB. */
const MAX_LENGTH = 256 * 1024;

/** Cards are three levels deep. */
const MAX_DEPTH = 32;

/** Of one mapping or list: keys are compared pair by pair. */
const MAX_ENTRIES = 1000;

const MAX_DOCUMENTS = 1000;

/** Values that aliases add, over all of them. */
const MAX_ALIASED = 100;

/**
 * The values of a stream's documents, empty documents left out.
 *
 * @param where for errors: a path.
 * @throws PronkError "bad_format" naming the line, or the limit that was passed.
 */
export function parseYamlDocuments(text: string, where: string): unknown[] {
  const bad = (why: string): PronkError => new PronkError("bad_format", `${where}: ${why}`);
  if (text.length > MAX_LENGTH) throw bad(`${text.length} characters, more than ${MAX_LENGTH}`);

  const composer = new Composer({ version: "1.2", schema: "core", resolveKnownTags: false });
  const values: unknown[] = [];
  for (const parsed of composer.compose(tokensOf(text, bad), true, text.length)) {
    if (values.length === MAX_DOCUMENTS) throw bad(`more than ${MAX_DOCUMENTS} documents`);
    const [error] = parsed.errors;
    if (error) throw bad(`not YAML: line ${lineOf(text, error.pos[0])}: ${error.message}`);
    let value: unknown;
    try {
      value = parsed.toJS({ maxAliasCount: MAX_ALIASED });
    } catch (cause) {
      throw bad(`aliases: ${(cause as Error).message}`);
    }
    checkEnds(value, [], bad);
    if (value !== null && value !== undefined) values.push(value);
  }
  return values;
}

/** The concrete syntax, piece by piece: this stage keeps its own stack, the composer recurses. */
function* tokensOf(text: string, bad: (why: string) => PronkError): Generator<CST.Token> {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) yield checked(token, bad);
    if (parser.stack.length > MAX_DEPTH) throw bad(`nested deeper than ${MAX_DEPTH}`);
  }
  for (const token of parser.end()) yield checked(token, bad);
}

function checked(token: CST.Token, bad: (why: string) => PronkError): CST.Token {
  if (token.type === "document") checkEntries(token.value, bad);
  return token;
}

function checkEntries(token: CST.Token | null | undefined, bad: (why: string) => PronkError): void {
  if (!token || !("items" in token)) return;
  if (token.items.length > MAX_ENTRIES) {
    throw bad(`${token.items.length} entries in one collection, more than ${MAX_ENTRIES}`);
  }
  for (const item of token.items) {
    checkEntries("key" in item ? item.key : undefined, bad);
    checkEntries(item.value, bad);
  }
}

/** An alias inside its own anchor makes a value that contains itself. */
function checkEnds(
  value: unknown,
  around: readonly unknown[],
  bad: (why: string) => PronkError,
): void {
  if (typeof value !== "object" || value === null) return;
  if (around.includes(value)) throw bad("aliases: a value inside itself");
  for (const inner of Object.values(value)) checkEnds(inner, [...around, value], bad);
}

function lineOf(text: string, position: number): number {
  return text.slice(0, position).split("\n").length;
}
