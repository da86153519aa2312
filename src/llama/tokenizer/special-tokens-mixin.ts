/**
 * The special tokens of a tokenizer: by role, and adding more.
 *
 * Source: SpecialTokensMixin in transformers 4.57, tokenization_utils_base.py.
 */
import { PronkError } from "../../errors.ts";
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
  abstract idToToken(id: number): string | undefined;
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
  get sep_token(): string | null {
    return this.roles.get("sep_token");
  }
  set sep_token(token: TokenLike | null) {
    this.#setRole("sep_token", token);
  }
  get cls_token(): string | null {
    return this.roles.get("cls_token");
  }
  set cls_token(token: TokenLike | null) {
    this.#setRole("cls_token", token);
  }
  get mask_token(): string | null {
    return this.roles.get("mask_token");
  }
  set mask_token(token: TokenLike | null) {
    this.#setRole("mask_token", token);
  }
  get bos_token_id(): number | null {
    return this.#roleId("bos_token");
  }
  set bos_token_id(id: number | null) {
    this.#setRoleId("bos_token", id);
  }
  get eos_token_id(): number | null {
    return this.#roleId("eos_token");
  }
  set eos_token_id(id: number | null) {
    this.#setRoleId("eos_token", id);
  }
  get unk_token_id(): number | null {
    return this.#roleId("unk_token");
  }
  set unk_token_id(id: number | null) {
    this.#setRoleId("unk_token", id);
  }
  get pad_token_id(): number | null {
    return this.#roleId("pad_token");
  }
  set pad_token_id(id: number | null) {
    this.#setRoleId("pad_token", id);
  }
  get sep_token_id(): number | null {
    return this.#roleId("sep_token");
  }
  set sep_token_id(id: number | null) {
    this.#setRoleId("sep_token", id);
  }
  get cls_token_id(): number | null {
    return this.#roleId("cls_token");
  }
  set cls_token_id(id: number | null) {
    this.#setRoleId("cls_token", id);
  }
  get mask_token_id(): number | null {
    return this.#roleId("mask_token");
  }
  set mask_token_id(id: number | null) {
    this.#setRoleId("mask_token", id);
  }
  get additional_special_tokens(): readonly string[] {
    return this.roles.additional;
  }
  set additional_special_tokens(tokens: readonly TokenLike[]) {
    this.roles.additional = tokens;
    this.rolesChanged();
  }
  get additional_special_tokens_ids(): number[] {
    return this.convertTokensToIds(this.additional_special_tokens);
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

  /** The role goes to the token of this id. */
  #setRoleId(role: SpecialAttribute, id: number | null): void {
    const token = id === null ? null : this.idToToken(id);
    if (token === undefined) {
      throw new PronkError("bad_request", `tokenizer: no token has the id ${id}`, {
        param: `${role}_id`,
      });
    }
    this.#setRole(role, token);
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

  convertIdsToTokens(ids: readonly number[], skip_special_tokens?: boolean): string[];
  convertIdsToTokens(id: number): string;
  convertIdsToTokens(
    ids: number | readonly number[],
    skip_special_tokens = false,
  ): string | string[] {
    const textOf = (id: number): string => {
      const text = this.idToToken(id);
      if (text !== undefined) return text;
      throw new PronkError("bad_request", `tokenizer: no token has the id ${id}`);
    };
    if (typeof ids === "number") return textOf(ids);
    const special = new Set(skip_special_tokens ? this.all_special_ids : []);
    return ids.filter((id) => !special.has(id)).map(textOf);
  }
}
