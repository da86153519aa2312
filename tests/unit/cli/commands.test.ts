import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { saveHfDirectory } from "../../../src/checkpoints/save-hf.ts";
import { outputDirectory } from "../../../src/platform/node/index.ts";
import { randomCheckpoint } from "../../support/random-checkpoint.ts";
import { serveBytes, startFileServer } from "../hub/file-server.ts";
import { temporaryFolder } from "../platform/temporary-folder.ts";
import { pronk } from "./fake-cli.ts";

const tiny = fileURLToPath(new URL("../../goldens/gguf/Q4_1.gguf", import.meta.url));

test("--version is the package's", async () => {
  const manifest = JSON.parse(await readFile("package.json", "utf8"));
  expect((await pronk(["--version"])).out).toBe(`${manifest.version}\n`);
});

test.each([
  ["run", ["--prompt", "Hello", "--max-tokens", "1"]],
  ["eval", ["--ctx", "4"]],
  ["chat", ["max_new_tokens=1"]],
])("%s says once what its backend leaves out of a configuration", async (command, more) => {
  const folder = await temporaryFolder();
  const fields = {
    vocab_size: 1000,
    hidden_size: 64,
    intermediate_size: 64,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    pretraining_tp: 2,
  };
  const checkpoint = randomCheckpoint(fields, 7, "llama2_sp/fast");
  await saveHfDirectory(checkpoint, outputDirectory(folder));
  const text = join(folder, "text.txt");
  await writeFile(text, "Hello this is a test");
  const args = [command, folder, ...more, ...(command === "eval" ? ["--text", text] : [])];
  const { err } = await pronk(args, { stdin: "" });
  expect(err.match(/pretraining_tp 2: .*/g)).toEqual([
    expect.stringContaining("the reference backend sums in slices"),
  ]);
});

describe("exit codes", () => {
  test("0 and the list of commands without arguments", async () => {
    const { code, out } = await pronk([]);
    expect(code).toBe(0);
    for (const name of ["serve", "run", "pull", "pack", "inspect", "tokenize", "hash", "bench"]) {
      expect(out).toMatch(new RegExp(`^ {2}${name} `, "m"));
    }
  });

  test.each([
    ["an unknown command", ["fly"]],
    ["a name of Object's", ["constructor"]],
    ["a wrong option", ["inspect", "--wings"]],
    ["a value that is no choice", ["inspect", tiny, "--quant", "q1"]],
    ["no thread at all", ["inspect", tiny, "--threads", "0"]],
    ["a way to speculate that there is not", ["run", tiny, "--prompt", "x", "--speculate", "dice"]],
    [
      "a draft without speculation",
      ["run", tiny, "--prompt", "x", "--speculate", "off", "--draft", tiny],
    ],
    ["packing to nowhere", ["pack", tiny]],
    ["depths without room for the steps", ["bench", tiny, "--contexts", "128,32"]],
    ["a context beside the bench's own", ["bench", tiny, "--ctx", "64"]],
    ["pulling a path", ["pull", tiny]],
    ["an attention mask of no text", ["attn-mask", tiny]],
    [
      "a budget beside a profile",
      ["pack", tiny, "--out", "x", "--budget", "1GB", "--profile", "small"],
    ],
  ])("2 for %s", async (_, args) => {
    const { code, out, err } = await pronk(args);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err.split("\n").length).toBe(3);
    expect(err).toMatch(/^next: pronk (?:help|\S+ --help) /m);
  });

  test.each([
    ["a missing file", ["inspect", "./missing.gguf"], "missing.gguf"],
    ["a directory that is no pack", ["inspect", "."], "manifest.json"],
    [
      "a model that does not fit its context",
      ["inspect", tiny, "--ctx", "100000"],
      "128 positions",
    ],
    ["a model without a tokenizer", ["run", tiny, "--prompt", "x"], "no tokenizer"],
    [
      "importance that no matrix would use",
      ["pack", tiny, "--out", "x", "--importance", "package.json"],
      "no matrix is quantized anew",
    ],
    [
      "importance from a text that is not there",
      ["pack", tiny, "--out", "x", "--importance", "./missing.txt"],
      "missing.txt",
    ],
    ["s3", ["inspect", "s3:///model"], "s3://BUCKET/PREFIX"],
  ])(
    "1 and one line for %s, with the next step in another where there is one",
    async (_, args, named) => {
      const { code, out, err } = await pronk(args);
      expect({ code, out }).toEqual({ code: 1, out: "" });
      const [line, ...next] = err.trimEnd().split("\n");
      expect(line).toContain(named);
      expect(next).toEqual(next.length === 0 ? [] : [expect.stringMatching(/^next: ./)]);
    },
  );
});

test("inspect lists configuration, tensors, memory, what fits, and the plan", async () => {
  const { code, out } = await pronk([
    "inspect",
    tiny,
    "--json",
    "--plan",
    "--budget",
    "24MB",
    "--ctx",
    "64",
  ]);
  expect(code).toBe(0);
  const document = JSON.parse(out);
  expect(document).toMatchObject({
    architecture: "llama",
    config: { num_hidden_layers: 1, hidden_size: 256, vocab_size: 192 },
  });
  expect(document.tensors).toContainEqual({
    name: "model.layers.0.mlp.up_proj.weight",
    type: "Q4_1",
    shape: [512, 256],
    bytes: 81920,
  });
  const { weights, kv, activations, scratch, total } = document.memory;
  expect(weights + kv + activations + scratch).toBeLessThanOrEqual(total);
  expect(document.fits[0]).toEqual({ budget: 24_000_000, ctx: 64, slots: 1 });
  expect(document.plan.steps[0]).toMatchObject({ op: "embed" });
});

test("inspect says that nothing fits too small a budget", async () => {
  const { out } = await pronk(["inspect", tiny, "--json", "--budget", "20MB"]);
  expect(JSON.parse(out).fits).toEqual([]);
});

test("pack writes shards named by their hashes, and inspect reads them", async () => {
  const folder = join(await temporaryFolder(), "pack");
  const packed = await pronk(["pack", tiny, "--out", folder, "--shard-size", "100001", "--json"]);
  expect(packed.code, packed.err).toBe(1);
  expect(packed.err).toContain("shards of 100001 bytes");

  const { code, out, err } = await pronk([
    "pack",
    tiny,
    "--out",
    folder,
    "--shard-size",
    "96KiB",
    "--json",
  ]);
  expect(code, err).toBe(0);
  const document = JSON.parse(out);
  const manifest = await readFile(join(folder, "manifest.json"));
  expect(document).toMatchObject({
    path: folder,
    sha256: createHash("sha256").update(manifest).digest("hex"),
  });
  const shards = (await readdir(folder)).filter((name) => name.endsWith(".bin"));
  expect(shards.length).toBe(document.shards);
  for (const shard of shards) {
    const hash = createHash("sha256").update(await readFile(join(folder, shard)));
    expect(shard).toBe(`${hash.digest("hex")}.bin`);
  }
  const { source } = JSON.parse(manifest.toString());
  const hash = createHash("sha256")
    .update(await readFile(tiny))
    .digest("hex");
  expect(source).toMatchObject({ name: "Q4_1.gguf", sha256: hash });

  const inspected = JSON.parse((await pronk(["inspect", folder, "--json"])).out);
  expect(inspected.tensors[0]).toMatchObject({ name: "model.embed_tokens.weight" });
});

describe("--budget", () => {
  /** Of an isolate's budget, so much is for its heap. */
  const heap = 20_000_000;
  const total = async (...more: string[]): Promise<number> => {
    const args = ["inspect", tiny, "--json", "--slots", "1", "--budget", "1GB", ...more];
    return JSON.parse((await pronk(args)).out).memory.total;
  };

  test("packs the best form that fits, which inspect names, or says what would fit", async () => {
    const chosen = async (budget: number): Promise<string> => {
      const folder = join(await temporaryFolder(), "pack");
      const { code, err } = await pronk([
        ...["pack", tiny, "--out", folder, "--budget", String(budget)],
      ]);
      if (code !== 0) return err;
      const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8"));
      const { requested, profile, kv } = manifest.quantization;
      const inspected = await pronk(["inspect", tiny, "--json", "--budget", String(budget)]);
      expect(JSON.parse(inspected.out).choice).toEqual({ quantization: requested, profile, kv });
      return `${requested} ${profile} ${kv}`;
    };
    const normal = await total();
    const smaller = await total("--kv", "int8"); // the small profile has nothing to shrink here
    expect(await chosen(heap + normal)).toBe("auto default int16");
    expect(await chosen(heap + normal - 1)).toBe("auto default int8");
    expect(await chosen(heap + smaller)).toBe("auto default int8");
    const smallest = await total("--quant", "q4s", "--kv", "int8");
    expect(smallest).toBeLessThan(smaller);
    expect(await chosen(heap + smallest)).toBe("q4s default int8");
    const refusal = await chosen(heap + smallest - 1);
    expect(refusal).toContain(`the budget is ${heap + smallest - 1} bytes, ${heap} of them`);
    expect(refusal).toContain(`a budget of ${heap + smallest} would do`);
  });

  test("leaves what is asked for as it is", async () => {
    const inspected = async (...more: string[]): Promise<unknown> =>
      JSON.parse((await pronk(["inspect", tiny, "--json", "--budget", "1GB", ...more])).out).choice;
    expect(await inspected("--kv", "bf16")).toEqual({
      quantization: "auto",
      profile: "default",
      kv: "bf16",
    });
    expect(await inspected("--quant", "none")).toMatchObject({ quantization: "none", kv: "f32" });
  });

  test("inspect says why nothing fits", async () => {
    const { out, code } = await pronk(["inspect", tiny, "--budget", "20MB"]);
    expect(code).toBe(0);
    expect(out).toMatch(/^no form fits: plan: the budget is 20000000 bytes.*would do$/m);
  });

  test.each([["--ctx"], ["--slots"]])("pack refuses %s without it", async (option) => {
    const { code, err } = await pronk(["pack", tiny, "--out", "x", option, "1"]);
    expect(code).toBe(2);
    expect(err).toContain("--budget");
  });
});

test("pull by reference downloads into the cache and prints where", async () => {
  const hub = await startFileServer();
  try {
    const bytes = new Uint8Array(await readFile(tiny));
    hub.routes.set("/files/tiny.gguf", serveBytes(bytes));
    const env = { PRONK_CACHE: await temporaryFolder() };
    const { code, out, err } = await pronk(["pull", `${hub.url}/files/tiny.gguf`, "--json"], {
      env,
    });
    expect(code, err).toBe(0);
    const { path, sha256, bytes: length } = JSON.parse(out);
    expect(length).toBe(bytes.length);
    expect(sha256).toBe(createHash("sha256").update(bytes).digest("hex"));
    expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
    expect(err).toContain("downloading tiny.gguf");
  } finally {
    await hub.close();
  }
});

test("bench --contexts prints its figures for every depth, the shallowest first", async () => {
  const model = "tests/goldens/tokenizers/tok_bpe.gguf";
  const { code, out } = await pronk([
    "bench",
    model,
    "--contexts",
    "48,40",
    "--reps",
    "1",
    "--json",
  ]);
  expect(code).toBe(0);
  const { contexts, ...head } = JSON.parse(out);
  expect(head).toMatchObject({ peer: "pronk", threads: 1, kernel_reason: expect.any(String) });
  expect(contexts).toMatchObject([{ positions: 40 }, { positions: 48 }]);
  for (const at of contexts) expect(Math.min(at.prefill_tps, at.decode_tps)).toBeGreaterThan(0);
});
