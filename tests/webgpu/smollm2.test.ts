/** SmolLM2-135M-Instruct on a GPU: the choices of transformers, and the logits of wasm's f32 path. */
import { expect, test } from "vitest";
import type { Runner } from "../../src/backends/backend.ts";
import { BACKENDS, wasm } from "../conformance/backends.ts";
import { BUILDS } from "../support/kernel-builds.ts";
import { type GoldenChat, golden, openSmolLm2 } from "../support/smollm2.ts";

const [{ create }] = BACKENDS;

/** Above this margin of the golden's first two, the arg max must agree: below, rounding decides. */
const DECISIVE_MARGIN = 0.7;

/** Of logits up to 30, after 30 layers of sums in another order. */
const LOGITS_TOLERANCE = 1e-3;

/** Follows the golden's ids, and gives the logits of each choice: prompt and answer in parts, or the answer token by token. */
async function follow(
  runner: Runner,
  { prompt_ids, greedy_ids }: GoldenChat,
  by: "parts" | "tokens",
): Promise<Float32Array[]> {
  const ids = [...prompt_ids, ...greedy_ids.slice(0, -1)];
  const first = prompt_ids.length - 1;
  const logits: Float32Array[] = [];
  for (let start = 0; start < ids.length; ) {
    const isToken = by === "tokens" && start > first;
    const end = by === "tokens" && start <= first ? prompt_ids.length : ids.length;
    const count = Math.min(isToken ? 1 : runner.maxRows, end - start);
    const wanted = Array.from({ length: count }, (_, row) => row).filter(
      (row) => start + row >= first,
    );
    await runner.forward({
      ids: ids.slice(start, start + count),
      spans: [{ slot: 0, start, count }],
      logitsRows: wanted,
    });
    for (const i of wanted.keys()) logits.push(runner.logits(i).slice());
    start += count;
  }
  return logits;
}

function largestDifference(found: Float32Array[], expected: Float32Array[]): number {
  let most = 0;
  for (const [i, row] of expected.entries()) {
    row.forEach((value, id) => {
      most = Math.max(most, Math.abs(found[i][id] - value));
    });
  }
  return most;
}

/** The decisive choices, found and expected. */
function choices(logits: Float32Array[], { steps, greedy_ids }: GoldenChat): [number[], number[]] {
  const decisive = steps.flatMap(({ margin }, i) => (margin > DECISIVE_MARGIN ? [i] : []));
  const found = decisive.map((i) => logits[i].indexOf(Math.max(...logits[i])));
  return [found, decisive.map((i) => greedy_ids[i])];
}

const ALL_STEPS = 32;

test.each([
  ["in parts", "parts", 1],
  ["token by token", "tokens", 0],
] as const)(
  "weights in f32, %s: transformers' choices, and logits within 1e-3 of wasm's",
  async (_, by, index) => {
    const chat = golden.chats[index];
    const options = { quantization: "none", kv: "f32", ctx: 128, maxLogits: 64 } as const;
    const { runner } = await openSmolLm2(create, options);
    expect(runner.backend).toBe("webgpu");
    const found = await follow(runner, chat, by);
    expect(found).toHaveLength(ALL_STEPS);
    const [chosen, expected] = choices(found, chat);
    expect(chosen).toEqual(expected);

    const { runner: onWasm } = await openSmolLm2(wasm(BUILDS.at(-1)!), options);
    const difference = largestDifference(found, await follow(onWasm, chat, "parts"));
    onWasm.dispose();
    console.log(`${by}: logits differ from wasm's by at most ${difference.toExponential(1)}`);
    expect(difference).toBeLessThan(LOGITS_TOLERANCE);
  },
);

test.each(["parts", "tokens"] as const)(
  "the default pack, by %s: transformers' choices",
  async (by) => {
    const { runner } = await openSmolLm2(create, { kv: "int16", ctx: 128, maxLogits: 64 });
    const chat = golden.chats[0];
    const [chosen, expected] = choices(await follow(runner, chat, by), chat);
    expect(chosen).toEqual(expected);
  },
);
