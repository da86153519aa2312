import { describe, expect, test } from "vitest";
import type { ImagePlan } from "../../../src/pack/image-plan.ts";
import { planShards } from "../../../src/pack/shards.ts";

/** An image of tensors of these sizes. */
function image(...sizes: number[]): ImagePlan {
  let end = 0;
  const tensors = sizes.map((bytes, i) => {
    const offset = end;
    end += bytes;
    return { name: `t${i}`, form: "vector" as const, shape: [bytes / 4], offset, bytes };
  });
  return { tensors, weightBytes: end };
}

test.each<[string, number[], number[]]>([
  ["one shard where all fits", [32, 64, 32], [128]],
  ["nothing more where it fits exactly", [64, 64], [128]],
  ["at a border that leaves a shard half full", [64, 96, 32], [64, 192]],
  ["at the limit where the border is too early", [32, 192, 32], [128, 256]],
  ["large tensors at the limit, and goes on with what is left", [96, 300, 32], [96, 224, 352, 428]],
  ["a tensor of exactly one shard on its own", [96, 128, 32], [96, 224, 256]],
])("cuts %s", (_, sizes, ends) => {
  expect(planShards(image(...sizes), 128)).toEqual(ends);
});

test("no shard is empty or over the limit, and they end with the image", () => {
  for (let seed = 1; seed < 200; seed++) {
    const sizes = Array.from(
      { length: 1 + (seed % 9) },
      (_, i) => 32 * (1 + ((seed * (i + 3)) % 23)),
    );
    const plan = image(...sizes);
    for (const shardBytes of [32, 96, 128, 4096]) {
      const ends = planShards(plan, shardBytes);
      const lengths = ends.map((end, i) => end - (ends[i - 1] ?? 0));
      expect(Math.min(...lengths)).toBeGreaterThan(0);
      expect(Math.max(...lengths)).toBeLessThanOrEqual(shardBytes);
      expect(ends.at(-1)).toBe(plan.weightBytes);
    }
  }
});

describe("refuses shards of", () => {
  test.each([0, -32, 31, 33, 100, 16 * 1024 * 1024 + 32, Number.NaN])("%f bytes", (shardBytes) => {
    expect(() => planShards(image(64), shardBytes)).toThrow(
      expect.objectContaining({ code: "bad_request", param: "shardBytes" }),
    );
  });
});
