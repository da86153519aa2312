/** The special tokens of a tokenizer by their roles: bos_token, pad_token and the others. */
import type { AddedToken } from "../../tokenizers/tokenizer-json.ts";
import type { TokenLike } from "./batch-encoding.ts";
import {
  SPECIAL_ATTRIBUTES,
  type SpecialAttribute,
  type TokenizerOptions,
  tokenOf,
} from "./tokenizer-options.ts";

/** Roles to be changed together; additional ones replace those there are. */
export type SpecialTokensDict = Partial<Record<SpecialAttribute, TokenLike>> & {
  readonly additional_special_tokens?: readonly TokenLike[];
};

export class SpecialTokenRoles {
  readonly #roles = new Map<SpecialAttribute, AddedToken>();
  #additional: AddedToken[] = [];
  /** Of the additional ones. */
  #contents = new Set<string>();

  constructor(options: TokenizerOptions) {
    for (const role of SPECIAL_ATTRIBUTES) {
      const token = options[role];
      if (token !== undefined && token !== null) this.set(role, token);
    }
    this.additional = options.additional_special_tokens ?? [];
  }

  get(role: SpecialAttribute): string | null {
    return this.#roles.get(role)?.content ?? null;
  }

  set(role: SpecialAttribute, token: TokenLike | null): void {
    if (token === null) this.#roles.delete(role);
    else this.#roles.set(role, { ...tokenOf(token, true), special: true });
  }

  get additional(): readonly string[] {
    return this.#additional.map(({ content }) => content);
  }

  set additional(tokens: readonly TokenLike[]) {
    this.#additional = tokens.map((token) => ({ ...tokenOf(token, true), special: true }));
    this.#contents = new Set(this.#additional.map(({ content }) => content));
  }

  addAdditional(token: AddedToken): void {
    this.#additional.push(token);
    this.#contents.add(token.content);
  }

  /** Whether a token has any role. */
  has(content: string): boolean {
    for (const token of this.#roles.values()) if (token.content === content) return true;
    return this.#contents.has(content);
  }

  /** Every special token once, by its role's place. */
  all(): AddedToken[] {
    const tokens = new Map<string, AddedToken>();
    for (const role of SPECIAL_ATTRIBUTES) {
      const token = this.#roles.get(role);
      if (token !== undefined && !tokens.has(token.content)) tokens.set(token.content, token);
    }
    for (const token of this.#additional) {
      if (!tokens.has(token.content)) tokens.set(token.content, token);
    }
    return [...tokens.values()];
  }

  /** As special_tokens_map.json has it. */
  map(): Record<string, string | string[]> {
    const map: Record<string, string | string[]> = {};
    for (const [role, { content }] of this.#roles) map[role] = content;
    if (this.#additional.length > 0) map.additional_special_tokens = [...this.additional];
    return map;
  }
}
