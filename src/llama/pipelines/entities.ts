/**
 * Scores of tokens to entities: none, simple, first, average and max.
 *
 * Source: pipelines/token_classification.py in transformers 4.57.
 */
import type { PreTrainedTokenizerBase } from "../tokenizer/pretrained-tokenizer-base.ts";
import { argMax } from "./scores.ts";

export const STRATEGIES = ["none", "simple", "first", "average", "max"] as const;
export type AggregationStrategy = (typeof STRATEGIES)[number];

/** Places are null where the tokenizer knows none. */
interface Place {
  /** UTF-16 units of the text. */
  readonly start: number | null;
  readonly end: number | null;
}

/** A token, before anything is decided of it. */
export interface TokenScores extends Place {
  readonly word: string;
  /** Of each label. */
  readonly scores: readonly number[];
  readonly index: number;
  /** It goes on with the word before it. */
  readonly is_subword: boolean;
}

/** A token (`none`), or several (`entity_group`). */
export interface Entity extends Place {
  readonly entity?: string;
  readonly entity_group?: string;
  readonly score: number;
  /** The token's number in the input, special ones counted; of `none` only. */
  readonly index?: number;
  readonly word: string;
}

interface Tagged extends Place {
  readonly entity: string;
  readonly score: number;
  readonly index?: number;
  readonly word: string;
}

export interface EntityRules {
  readonly strategy: AggregationStrategy;
  readonly id2label: Readonly<Record<string, string>>;
  readonly tokenizer: Pick<PreTrainedTokenizerBase, "convertTokensToString">;
}

export function entitiesOf(tokens: readonly TokenScores[], rules: EntityRules): Entity[] {
  const { strategy, tokenizer } = rules;
  if (strategy !== "none" && strategy !== "simple") {
    return groupEntities(
      wordsOf(tokens).map((word) => tagWord(word, rules)),
      tokenizer,
    );
  }
  const tagged = tokens.map(({ word, scores, index, start, end }): Tagged => {
    const best = argMax(scores);
    const entity = labelOf(rules, best);
    return { entity, score: scores[best]!, index, word, start, end };
  });
  return strategy === "none" ? tagged : groupEntities(tagged, tokenizer);
}

function labelOf({ id2label }: EntityRules, id: number): string {
  return id2label[id] ?? `LABEL_${id}`;
}

function wordsOf(tokens: readonly TokenScores[]): TokenScores[][] {
  const words: TokenScores[][] = [];
  for (const token of tokens) {
    if (words.length > 0 && token.is_subword) words.at(-1)!.push(token);
    else words.push([token]);
  }
  return words;
}

/** One tag for all of a word's tokens. */
function tagWord(tokens: readonly TokenScores[], rules: EntityRules): Tagged {
  let { scores } = tokens[0]!;
  if (rules.strategy === "max") {
    const most = tokens.map((token) => token.scores[argMax(token.scores)]!);
    scores = tokens[argMax(most)]!.scores;
  } else if (rules.strategy === "average") {
    scores = scores.map((_, label) => mean(tokens.map((token) => token.scores[label]!)));
  }
  const best = argMax(scores);
  return {
    entity: labelOf(rules, best),
    score: scores[best]!,
    word: rules.tokenizer.convertTokensToString(tokens.map(({ word }) => word)),
    start: tokens[0]!.start,
    end: tokens.at(-1)!.end,
  };
}

/** Neighbours of one tag are one entity, unless a B- begins another. */
function groupEntities(tagged: readonly Tagged[], tokenizer: EntityRules["tokenizer"]): Entity[] {
  const groups: Tagged[][] = [];
  for (const one of tagged) {
    const last = groups.at(-1)?.at(-1);
    const [position, tag] = tagOf(one.entity);
    if (last && position !== "B" && tagOf(last.entity)[1] === tag) groups.at(-1)!.push(one);
    else groups.push([one]);
  }
  return groups.map((group) => {
    const { entity, start } = group[0]!;
    return {
      entity_group: entity.slice(entity.indexOf("-") + 1),
      score: mean(group.map(({ score }) => score)),
      word: tokenizer.convertTokensToString(group.map(({ word }) => word)),
      start,
      end: group.at(-1)!.end,
    };
  });
}

/** Without B- or I- a label goes on with its like. */
function tagOf(entity: string): readonly ["B" | "I", string] {
  if (entity.startsWith("B-")) return ["B", entity.slice(2)];
  return ["I", entity.startsWith("I-") ? entity.slice(2) : entity];
}

/** Of windows that overlap: the longer of two at one place, of equally long ones the better. */
export function withoutOverlaps(entities: readonly Entity[]): Entity[] {
  const sorted = [...entities].sort((a, b) => a.start! - b.start!);
  const kept: Entity[] = [];
  let previous = sorted[0];
  if (!previous) return kept;
  for (const entity of sorted) {
    const isWithin = previous.start! <= entity.start! && entity.start! < previous.end!;
    if (!isWithin) {
      kept.push(previous);
      previous = entity;
      continue;
    }
    const longer = lengthOf(entity) - lengthOf(previous);
    if (longer > 0 || (longer === 0 && entity.score > previous.score)) previous = entity;
  }
  return [...kept, previous];
}

function lengthOf({ start, end }: Place): number {
  return end! - start!;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
