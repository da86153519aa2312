/** Arithmetic from a text, by its grammar and nothing else: numbers, + - * / % ^ and parentheses. */

/** Longer ones are no arithmetic; and a parenthesis costs a call. */
const MAX_CHARACTERS = 200;

/** @throws Error saying what is wrong with it, and where. */
export function calculate(expression: string): number {
  if (expression.length > MAX_CHARACTERS)
    throw new Error(`longer than ${MAX_CHARACTERS} characters`);
  const tokens = expression
    .replace(/\*\*/g, "^")
    .replace(/[×·]/g, "*")
    .replace(/÷/g, "/")
    .replace(/[−–]/g, "-")
    .match(/\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|\S/gi);
  if (tokens === null) throw new Error("nothing to calculate");
  const reader = new Reader(tokens);
  const value = reader.sum();
  reader.expectEnd();
  if (!Number.isFinite(value)) throw new Error("no finite number");
  // What a person expects of 0.1 + 0.2.
  return Number(value.toPrecision(12));
}

class Reader {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  sum(): number {
    let value = this.#product();
    for (;;) {
      if (this.#take("+")) value += this.#product();
      else if (this.#take("-")) value -= this.#product();
      else return value;
    }
  }

  #product(): number {
    let value = this.#signed();
    for (;;) {
      if (this.#take("*")) value *= this.#signed();
      else if (this.#take("/")) value /= this.#signed();
      else if (this.#take("%")) value %= this.#signed();
      else return value;
    }
  }

  #signed(): number {
    if (this.#take("-")) return -this.#signed();
    return this.#take("+") ? this.#signed() : this.#power();
  }

  /** From the right: 2^3^2 is 2^9. */
  #power(): number {
    const base = this.#operand();
    return this.#take("^") ? base ** this.#signed() : base;
  }

  #operand(): number {
    if (this.#take("(")) {
      const value = this.sum();
      if (!this.#take(")")) throw new Error(`expected ) ${this.#where()}`);
      return value;
    }
    const token = this.#tokens[this.#at];
    if (token === undefined || !/^[\d.]/.test(token) || Number.isNaN(Number(token))) {
      throw new Error(`expected a number ${this.#where()}`);
    }
    this.#at++;
    return Number(token);
  }

  expectEnd(): void {
    if (this.#at < this.#tokens.length) throw new Error(`expected the end ${this.#where()}`);
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  #where(): string {
    const token = this.#tokens[this.#at];
    return token === undefined ? "at the end" : `at ${token}`;
  }
}
