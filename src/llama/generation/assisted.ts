/**
 * Assisted decoding: tokens are proposed, the model reads them all at once, and those that it would
 * have chosen itself are kept. Same seed, same tokens as without: each place has its random number.
 */
import { PronkError, throwIfAborted } from "../../errors.ts";
import { createChooser } from "./choose-token.ts";
import { type GenerateOutput, type GenerationRun, OutputCollector } from "./generation-run.ts";

/** Where proposals come from. */
export interface CandidateGenerator {
  /** What may follow `ids`, at most `most` tokens; `index` is the place of the first. */
  propose(ids: readonly number[], most: number, index: number): Promise<readonly number[]>;
  /** So many of the `proposed` came. */
  observe(proposed: number, accepted: number): void;
  dispose(): void;
}

export async function assistedDecoding(
  run: GenerationRun,
  candidates: CandidateGenerator,
): Promise<GenerateOutput> {
  const { model, config, prompts, signal } = run;
  if (run.input_ids.length > 1) {
    throw new PronkError("bad_request", "assisted generate is only supported for batch_size = 1");
  }
  if (!config.use_cache) {
    throw new PronkError("bad_request", "assisted generate requires `use_cache=True`");
  }
  const ids = [...run.input_ids[0]];
  const promptLength = ids.length;
  const prompt = prompts[0];
  const collector = new OutputCollector(config);
  const choose = createChooser(config.do_sample, run.seed);
  const cache = await model.createCache(1, prompt.length + config.max_length - promptLength);
  let pending = prompt;
  let isDone = false;
  try {
    while (!isDone) {
      throwIfAborted(signal);
      const index = ids.length - promptLength;
      // The last token that there is room for needs no proposal.
      const most = model.isCutDependent ? 0 : config.max_length - ids.length - 1;
      const proposed = most > 0 ? (await candidates.propose(ids, most, index)).slice(0, most) : [];
      const tokens = [...pending, ...proposed];
      const [logits] = await cache.forward(
        [{ row: 0, tokens, logits: proposed.length + 1 }],
        signal,
      );
      let accepted = 0;
      const added: number[] = [];
      for (let i = 0; i <= proposed.length && !isDone; i++) {
        const scores = await run.processors.apply([ids], [logits[i]]);
        collector.add([logits[i]], scores);
        const id = choose(scores[0], index + i);
        ids.push(id);
        added.push(id);
        [isDone] = run.stopping.isDone([ids], collector.scores ?? []);
        if (id !== proposed[i]) break;
        accepted++;
      }
      run.streamer?.put([added]);
      candidates.observe(proposed.length, accepted);
      // All but the newest token is read; what was proposed behind it was not right.
      cache.truncate(0, prompt.length + ids.length - promptLength - 1);
      pending = ids.slice(-1);
    }
  } finally {
    cache.dispose();
    candidates.dispose();
  }
  run.streamer?.end();
  return collector.output([ids]);
}
