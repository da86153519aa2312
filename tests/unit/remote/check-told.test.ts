import { expect, test } from "vitest";
import { channelPair } from "../../../src/remote/channel.ts";
import { openRemoteEngine } from "../../../src/remote/remote-engine.ts";
import { toyEngine } from "../engine/toy-engine.ts";
import { toyTokenizer } from "../engine/toy-tokenizer.ts";

const { engine } = toyEngine();
const { info, contextShift, adapters, snapshots } = engine;
const stats = engine.stats();
const description = { info, contextShift, adapters, snapshots, stats };

/** A peer that answers each question with the next of these, and waits are over at once. */
function reach(answers: readonly unknown[]) {
  let next = 0;
  const connect = async () => {
    const [mine, theirs] = channelPair();
    const head = answers[Math.min(next++, answers.length - 1)];
    theirs.listen({ message: () => theirs.send({ head }), closed: () => {} });
    return mine;
  };
  return openRemoteEngine({
    peers: [{ name: "peer", connect }],
    tokenizer: toyTokenizer(),
    template: undefined,
    now: () => 0,
    randomSeed: () => 1,
    timer: (ms, run) => {
      const id = ms < 5000 ? setImmediate(run) : undefined;
      return () => clearImmediate(id);
    },
  });
}

test.each([
  5,
  null,
  [],
  {},
  { description: 5 },
  { description: { info: {} } },
  { value: 1, stats },
])("a peer that describes itself as %j is no engine", async (answer) => {
  await expect(reach([answer])).rejects.toMatchObject({ code: "unavailable" });
});

test.each([
  { vectors: true, stats },
  { vectors: [2], stats },
  { description },
  { value: 1, stats: 5 },
])(
  "what is asked of a peer that answers %j ends with an error, instead of never",
  async (answer) => {
    const remote = await reach([{ description }, answer]);
    await expect(remote.embed([[1, 2]])).rejects.toMatchObject({ code: "unavailable" });
  },
);

test.each([{ part: 5 }, { part: { token: "x" } }, { result: {}, stats }, { error: 5 }])(
  "a generation of a peer that tells %j ends with an error",
  async (answer) => {
    const remote = await reach([{ description }, answer]);
    const request = { prompt_ids: [1, 2, 3], max_tokens: 4 };
    await expect(remote.generate(request)).rejects.toMatchObject({ code: "unavailable" });
  },
);
