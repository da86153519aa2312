/**
 * The special tokens of a tokenizer: by role, and adding more.
 *
 * Source: SpecialTokensMixin in transformers 4.57, tokenization_utils_base.py.
 */
import type { AddedToken } from "../../tokenizers/tokenizer-json.ts";
import type { TokenLike } from "./batch-encoding.ts";
import { SpecialTokenRoles, type SpecialTokensDict } from "./special-tokens.ts";
import {
  SPECIAL_ATTRIBUTES,
  type SpecialAttribute,
  type TokenizerOptions,
  tokenOf,
} from "./tokenizer-options.ts";

export abstract class SpecialTokensMixin {
  protected readonly roles: SpecialTokenRoles;

  constructor(options: TokenizerOptions) {
    this.roles = new SpecialTokenRoles(options);
  }

  abstract tokenToId(token: string): number | undefined;
  protected abstract addToken(token: AddedToken): boolean;
  /** Called when a role has another token. */
  protected abstract rolesChanged(): void;

  get bos_token(): string | null {
    return this.roles.get("bos_token");
  }
  set bos_token(token: TokenLike | null) {
    this.#setRole("bos_token", token);
  }
  get eos_token(): string | null {
    return this.roles.get("eos_token");
  }
  set eos_token(token: TokenLike | null) {
    this.#setRole("eos_token", token);
  }
  get unk_token(): string | null {
    return this.roles.get("unk_token");
  }
  set unk_token(token: TokenLike | null) {
    this.#setRole("unk_token", token);
  }
  get pad_token(): string | null {
    return this.roles.get("pad_token");
  }
  set pad_token(token: TokenLike | null) {
    this.#setRole("pad_token", token);
  }
  get bos_token_id(): number | null {
    return this.#roleId("bos_token");
  }
  get eos_token_id(): number | null {
    return this.#roleId("eos_token");
  }
  get unk_token_id(): number | null {
    return this.#roleId("unk_token");
  }
  get pad_token_id(): number | null {
    return this.#roleId("pad_token");
  }
  get additional_special_tokens(): readonly string[] {
    return this.roles.additional;
  }
  get all_special_tokens(): string[] {
    return this.roles.all().map(({ content }) => content);
  }
  get all_special_ids(): number[] {
    return this.convertTokensToIds(this.all_special_tokens);
  }
  get special_tokens_map(): Record<string, string | string[]> {
    return this.roles.map();
  }

  #setRole(role: SpecialAttribute, token: TokenLike | null): void {
    this.roles.set(role, token);
    this.rolesChanged();
  }

  #roleId(role: SpecialAttribute): number | null {
    const token = this.roles.get(role);
    return token === null ? null : (this.convertTokensToIds(token) ?? null);
  }

  /** Adds tokens behind the vocabulary; those it has become added ones. @returns how many are new. */
  addTokens(tokens: TokenLike | readonly TokenLike[], special_tokens = false): number {
    const list = Array.isArray(tokens) ? (tokens as readonly TokenLike[]) : [tokens as TokenLike];
    let added = 0;
    for (const token of list) {
      const known = typeof token === "string" && this.roles.has(token);
      const made = tokenOf(token, special_tokens || known);
      if (made.content === "") continue;
      if (this.addToken(special_tokens ? { ...made, special: true } : made)) added++;
    }
    return added;
  }

  /** Gives roles to tokens and adds those that are not there. @returns how many are new. */
  addSpecialTokens(tokens: SpecialTokensDict, replace_additional_special_tokens = true): number {
    const added: TokenLike[] = [];
    for (const role of SPECIAL_ATTRIBUTES) {
      const token = tokens[role];
      if (token === undefined) continue;
      this.roles.set(role, token);
      added.push(token);
    }
    const more = tokens.additional_special_tokens;
    if (more !== undefined) {
      const kept = replace_additional_special_tokens ? [] : this.roles.additional;
      this.roles.additional = [...kept, ...more];
      added.push(...more);
    }
    const count = this.addTokens(added, true);
    this.rolesChanged();
    return count;
  }

  /** Unknown tokens have the unknown token's id. */
  convertTokensToIds(tokens: readonly string[]): number[];
  convertTokensToIds(token: string): number | undefined;
  convertTokensToIds(tokens: string | readonly string[]): number | undefined | number[] {
    const idOf = (token: string): number | undefined => {
      const id = this.tokenToId(token);
      if (id !== undefined) return id;
      const unk = this.roles.get("unk_token");
      return unk === null ? undefined : this.tokenToId(unk);
    };
    if (typeof tokens === "string") return idOf(tokens);
    return tokens.map(idOf).filter((id) => id !== undefined);
  }
}
