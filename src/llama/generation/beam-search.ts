/**
 * Beam search and beam sampling as transformers 4.57 does them (generation/utils.py, _beam_search):
 * the same candidates, the same f32 sums and the same rules for stopping.
 */
import { throwIfAborted } from "../../errors.ts";
import { power } from "../../generate/exp-log.ts";
import { logSoftmax } from "../../generate/logits-processors/softmax.ts";
import { toSeed, uniformAt } from "../../generate/random.ts";
import { draw } from "./choose-token.ts";
import { type GenerateOutput, type GenerationRun, OutputCollector } from "./generation-run.ts";
import { RowFeeder } from "./row-feeder.ts";

/** Stands for "not": added to a score, it puts it behind all others. */
const NEVER = -1e9;

interface Beam {
  readonly ids: readonly number[];
  /** The row that each generated id came from. */
  readonly path: readonly number[];
  /** Sum of log-probabilities; of a finished one divided by its length penalty. */
  readonly score: number;
  readonly isFinished: boolean;
}

/** One prompt's beams. */
interface Group {
  /** Best first. */
  running: Beam[];
  finished: Beam[];
  /** A running beam may still beat the worst finished one. */
  canImprove: boolean;
}

export async function beamSearch(run: GenerationRun): Promise<GenerateOutput> {
  const { model, config, prompts, signal, eos } = run;
  const { num_beams: beams, max_length, length_penalty, early_stopping } = config;
  const promptLength = run.input_ids[0].length;
  const collector = new OutputCollector(config);
  // Enough that so many beams are left when every end token is among the best of each.
  const keep = Math.max(2, 1 + (eos?.length ?? 0)) * beams;
  const bits = toSeed(run.seed);
  const groups = prompts.map((_, batch) => startGroup(run.input_ids[batch * beams], beams));
  const longest = Math.max(...prompts.map(({ length }) => length));
  const rowCount = prompts.length * beams;
  const cache = await model.createCache(rowCount, longest + max_length - promptLength);
  try {
    const feeder = new RowFeeder(model, cache, prompts, {
      expand: beams,
      promptLength,
      use_cache: config.use_cache,
      prefill_chunk_size: config.prefill_chunk_size ?? undefined,
      signal,
    });
    for (let step = 0, goesOn = true; goesOn; step++) {
      throwIfAborted(signal);
      const rows = groups.flatMap(({ running }) => running.map(({ ids }) => ids));
      const logits = await feeder.next(rows);
      const scores = await run.processors.apply(rows, logits.map(logSoftmax));
      collector.add(logits, scores);

      const continuations = groups.map((group, batch) => {
        const sums = accumulate(scores.slice(batch * beams, (batch + 1) * beams), group.running);
        const first = (step * groups.length + batch) * keep;
        const places = config.do_sample
          ? drawSeveral(sums, keep, (i) => uniformAt(bits, first + i))
          : largest(sums, keep);
        return places.map((place) => continued(group.running, place, sums, batch * beams));
      });
      const all = continuations.flat();
      const hits = run.stopping.isDone(
        all.map(({ ids }) => ids),
        collector.scores ?? [],
      );

      const generated = step + 1;
      groups.forEach((group, batch) => {
        const own = continuations[batch];
        const ends = hits.slice(batch * keep, (batch + 1) * keep);
        finish(group, own, ends, run, generated);
        const scored = own.map((beam, i) => ({ ...beam, score: sum(beam.score, ends[i]) }));
        group.running = best(scored, beams);
      });
      await feeder.reorder(groups.flatMap(({ running }) => running.map(({ path }) => path[step])));
      for (const group of groups) {
        const length =
          early_stopping === "never" && length_penalty > 0 ? max_length - promptLength : generated;
        group.canImprove &&= mayImprove(group, length, length_penalty);
      }
      const isFull = groups.every(({ finished }) => finished.every((beam) => beam.isFinished));
      goesOn =
        groups.some(({ canImprove }) => canImprove) &&
        !(isFull && early_stopping === true) &&
        !hits.every(Boolean);
    }
  } finally {
    cache.dispose();
  }
  return outputOf(run, groups, promptLength, collector);
}

function startGroup(ids: readonly number[], beams: number): Group {
  const start = { ids, path: [], isFinished: false };
  return {
    // All beams are the same at first: only one of them may go on.
    running: Array.from({ length: beams }, (_, i) => ({ ...start, score: i === 0 ? 0 : NEVER })),
    finished: Array.from({ length: beams }, () => ({ ...start, score: NEVER })),
    canImprove: true,
  };
}

/** (beams * vocab,) sums of log-probabilities. */
function accumulate(scores: readonly Float32Array[], running: readonly Beam[]): Float32Array {
  const vocab = scores[0].length;
  const sums = new Float32Array(scores.length * vocab);
  scores.forEach((row, beam) => {
    const { score } = running[beam];
    for (let i = 0; i < vocab; i++) sums[beam * vocab + i] = row[i] + score;
  });
  return sums;
}

/** The beam and token of a place in `sums`. */
function continued(
  running: readonly Beam[],
  place: number,
  sums: Float32Array,
  firstRow: number,
): Beam {
  const vocab = sums.length / running.length;
  const beam = Math.floor(place / vocab);
  const { ids, path } = running[beam];
  const score = sums[place];
  return {
    ids: [...ids, place % vocab],
    path: [...path, firstRow + beam],
    score,
    isFinished: false,
  };
}

/** Takes those of the best `num_beams` continuations that end here among the finished ones. */
function finish(
  group: Group,
  continuations: readonly Beam[],
  ends: readonly boolean[],
  { config }: GenerationRun,
  generated: number,
): void {
  const { num_beams: beams, length_penalty, early_stopping } = config;
  const isFull = early_stopping === true && group.finished.every((beam) => beam.isFinished);
  const divisor = Math.fround(power(generated, length_penalty));
  const candidates = continuations.map((beam, i) => {
    const isFinished = ends[i] && i < beams;
    let score = Math.fround(beam.score / divisor);
    for (const isOut of [isFull, !group.canImprove, !isFinished]) score = sum(score, isOut);
    return { ...beam, score, isFinished };
  });
  group.finished = best([...group.finished, ...candidates], beams);
}

function mayImprove({ running, finished }: Group, length: number, penalty: number): boolean {
  const possible = Math.fround(running[0].score / Math.fround(power(length, penalty)));
  const worst = Math.min(...finished.map(({ score }) => score));
  return finished.some(({ isFinished }) => possible > (isFinished ? worst : NEVER));
}

function sum(score: number, isOut: boolean): number {
  return isOut ? Math.fround(score + NEVER) : score;
}

/** The `count` best, best first; of equal ones those in front. */
function best(candidates: readonly Beam[], count: number): Beam[] {
  return candidates.toSorted((a, b) => b.score - a.score).slice(0, count);
}

/** The places of the `count` largest, largest first; of equal ones the lowest places. */
function largest(sums: Float32Array, count: number): number[] {
  const places: number[] = [];
  for (let place = 0; place < sums.length; place++) {
    if (places.length === count && !(sums[place] > sums[places[count - 1]])) continue;
    let at = places.length < count ? places.length : count - 1;
    while (at > 0 && sums[place] > sums[places[at - 1]]) {
      places[at] = places[at - 1];
      at--;
    }
    places[at] = place;
  }
  return places;
}

/** `count` places drawn one after the other, none twice. */
function drawSeveral(
  sums: Float32Array,
  count: number,
  uniform: (index: number) => number,
): number[] {
  const left = sums.slice();
  return Array.from({ length: count }, (_, i) => {
    const place = draw(left, uniform(i));
    left[place] = Number.NEGATIVE_INFINITY;
    return place;
  });
}

function outputOf(
  { config, eos, pad }: GenerationRun,
  groups: readonly Group[],
  promptLength: number,
  collector: OutputCollector,
): GenerateOutput {
  const returned = groups.flatMap(({ finished }) => finished.slice(0, config.num_return_sequences));
  const length = Math.max(...returned.map(({ path }) => path.length));
  // The reference takes the pad id for unset when it is 0, and knows none without an end token.
  const fill = eos === undefined ? -1 : pad || eos[0];
  const sequences = returned.map(({ ids }) => padded(ids, promptLength + length, fill));
  const output = collector.output(sequences);
  return {
    ...output,
    ...(collector.scores && { sequences_scores: returned.map(({ score }) => score) }),
    beam_indices: returned.map(({ path }) => padded(path, length, -1)),
  };
}

function padded(ids: readonly number[], length: number, fill: number): number[] {
  return [...ids, ...new Array<number>(length - ids.length).fill(fill)];
}
