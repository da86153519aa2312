import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { nextStep } from "../../../src/cli/next-step.ts";
import type { ErrorCode } from "../../../src/errors.ts";
import { temporaryFolder } from "../platform/temporary-folder.ts";
import { pronk } from "./fake-cli.ts";

const hub = "https://huggingface.co/api/models/a/b/revision/main";

describe("what to do after an error", () => {
  test.each<[ErrorCode, string, RegExp, Record<string, string>?]>([
    [
      "not_found",
      "smollm-135m: no such file, and no known model (x)",
      /mean smollm2-135m-instruct\?/,
    ],
    ["not_found", "me/mine: no such file, and no known model (x)", /^hf:me\/mine /],
    ["not_found", "zebra: no such file, and no known model (x)", /hf:OWNER\/REPO/],
    ["not_found", `${hub}: HTTP 404: no such repository, or a private one`, /HF_TOKEN/],
    ["not_found", ".: no checkpoint; looked for manifest.json, model.safetensors", /pronk pack/],
    ["source_failed", `${hub}: HTTP 401: private or gated`, /HF_TOKEN=hf_/],
    ["source_failed", `${hub}: HTTP 403: private or gated`, /read access/, { HF_TOKEN: "hf_x" }],
    ["source_failed", `${hub}: HTTP 429`, /in a minute/],
    ["source_failed", `${hub}: getaddrinfo ENOTFOUND huggingface.co`, /HTTPS_PROXY=.*HF_ENDPOINT/],
    ["source_failed", `${hub}: no answer within 10 s`, /pronk doctor/, { HTTPS_PROXY: "http://p" }],
    ["source_failed", "x: not in the cache, and HF_HUB_OFFLINE is set", /pronk pull hf:a\/b once/],
    ["source_failed", "127.0.0.1:8787: the port is taken; --port chooses another", /--port 8788/],
    ["source_failed", "/root/x: EACCES", /--out/],
    ["source_failed", "/data/x: ENOSPC", /PRONK_CACHE/],
    [
      "out_of_memory",
      "plan: ...; ctx 1024 fits, or a budget of 218115840 would do",
      /^--ctx 1024, or --budget 219MB$/,
    ],
    ["out_of_memory", "plan: ...; a budget of 118000000 would do", /^--budget 118MB$/],
    [
      "out_of_memory",
      "plan: ctx 900 needs 5 bytes, wasm32 holds 4 GiB: 512 positions fit",
      /^--ctx 512;/,
    ],
    ["bad_format", "m.gguf: header: not a GGUF file, starts with 0x3c21444f", /web page/],
    ["bad_format", "m.gguf: header: not a GGUF file, starts with 0x6e6f7420", /safetensors/],
    ["bad_format", "m.gguf: tensor t: bytes [1, 2) in a file of 1", /pronk pull/],
    ["corrupt", "m.gguf: sha256", /pronk pull hf:a\/b /],
    ["unsupported", "m.gguf: general.architecture qwen2", /what runs: .*Llama/],
    ["unsupported", "x: has no chat template; --prompt works", /--prompt/],
    ["unsupported", "simdWidth 256: V8 11.3 is older", /pronk doctor/],
    ["bad_request", "ctx 99999: the model has 8192 positions", /^--ctx 8192 /],
    ["context_overflow", "900 tokens", /--context-shift/],
  ])("%s, %s", async (code, message, step, env = {}) => {
    const context = { command: "run", argv: ["hf:a/b", "--prompt", "x"], env };
    expect(await nextStep({ code, message }, context)).toMatch(step);
  });

  test("is silent where nobody can tell", async () => {
    const context = { command: "run", argv: [], env: {} };
    expect(await nextStep({ code: "engine_failed", message: "x" }, context)).toBeUndefined();
  });

  test("names a file nearby under a similar name", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "llama-1b.gguf"), "");
    const { err, code } = await pronk(["inspect", join(folder, "lama-1b.gguf")]);
    expect(code).toBe(1);
    expect(err).toContain(`next: did you mean ${join(folder, "llama-1b.gguf")}?\n`);
  });

  test("stands in front of real messages too: a model that does not fit its budget", async () => {
    const tiny = "tests/goldens/gguf/Q4_1.gguf";
    const { err } = await pronk(["run", tiny, "--prompt", "x", "--budget", "20MB"]);
    const [, budget] = /^next: --budget (\d+MB)$/m.exec(err) ?? [];
    const { out } = await pronk(["inspect", tiny, "--json", "--budget", budget]);
    expect(JSON.parse(out).choice).not.toBeNull();
  });
});
