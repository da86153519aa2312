/** Greedy search and sampling: one token a row and step. */
import { throwIfAborted } from "../../errors.ts";
import { createChooser } from "./choose-token.ts";
import { type GenerateOutput, type GenerationRun, OutputCollector } from "./generation-run.ts";
import { RowFeeder } from "./row-feeder.ts";

export async function sample(run: GenerationRun): Promise<GenerateOutput> {
  const { model, config, prompts, expand, signal } = run;
  const rows = run.input_ids.map((ids) => [...ids]);
  const promptLength = rows[0].length;
  const collector = new OutputCollector(config);
  const choose = createChooser(config.do_sample, run.seed);
  const unfinished = rows.map(() => true);
  // Without an end token the reference goes on with complete rows, too, until all are.
  const needsAll = collector.wantsAllRows || run.eos === undefined;
  const longest = Math.max(...prompts.map(({ length }) => length));
  const room = longest + config.max_length - promptLength;
  const cache = await model.createCache(rows.length, room);
  try {
    const feeder = new RowFeeder(model, cache, prompts, {
      expand,
      promptLength,
      use_cache: config.use_cache,
      prefill_chunk_size: config.prefill_chunk_size ?? undefined,
      signal,
    });
    for (let step = 0; unfinished.includes(true); step++) {
      throwIfAborted(signal);
      const logits = await feeder.next(rows, needsAll ? undefined : unfinished);
      const scores = await run.processors.apply(rows, logits);
      collector.add(logits, scores);
      const chosen = rows.map((_, row) =>
        unfinished[row] || run.eos === undefined || run.pad === undefined
          ? choose(scores[row], step * rows.length + row)
          : run.pad,
      );
      rows.forEach((ids, row) => {
        ids.push(chosen[row]);
      });
      run.streamer?.put(chosen.map((id) => [id]));
      const done = run.stopping.isDone(rows, collector.scores ?? []);
      for (let row = 0; row < rows.length; row++) unfinished[row] &&= !done[row];
    }
  } finally {
    cache.dispose();
  }
  run.streamer?.end();
  return collector.output(rows);
}
