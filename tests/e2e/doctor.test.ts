/** pronk doctor on the real runtimes. */
import { execFile } from "node:child_process";
import { describe, expect, test } from "vitest";
import { type CommandLine, commandLineOn } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { startFileServer } from "../unit/hub/file-server.ts";

interface Checked {
  readonly name: string;
  readonly status: string;
  readonly found: string;
  readonly change?: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

function doctor(
  { program, args }: CommandLine,
  env: Record<string, string>,
): Promise<{ code: number; checks: Record<string, Checked>; ok: boolean; err: string }> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, HTTPS_PROXY: "", ...env }, timeout: 180_000 };
    execFile(program, [...args, "doctor", "--json"], options, (error, out, err) => {
      const { ok, checks } = JSON.parse(out || '{"checks":[]}');
      const byName = Object.fromEntries(checks.map((check: Checked) => [check.name, check]));
      resolve({ code: error ? Number(error.code) : 0, ok, checks: byName, err });
    });
  });
}

const offline = { HF_HUB_OFFLINE: "1" };

describe.each(["node", "deno", "bun"] as const)("on %s", (runtime) => {
  test("looks at everything, and finds that pronk runs", { timeout: 270_000 }, async () => {
    const { code, ok, checks, err } = await doctor(commandLineOn(runtime), offline);
    expect({ code, ok, err }).toEqual({ code: 0, ok: true, err: "" });
    expect(Object.keys(checks)).toEqual([
      ...["runtime", "cpu", "kernels", "vectors", "threads", "gpu", "memory", "bandwidth"],
      ...["cache", "network"],
    ]);
    expect(checks.runtime.facts).toMatchObject({ runtime, version: expect.stringMatching(/^\d/) });
    expect(checks.kernels).toMatchObject({ status: "ok", facts: { relaxed_simd: true } });
    expect(checks.kernels.found).toMatch(/GOP\/s/);
    expect(checks.memory.facts.wasm_memory_bytes).toBeGreaterThanOrEqual(2 ** 30);
    expect(checks.bandwidth.facts.bandwidth_bytes_per_second).toBeGreaterThan(1e8);
    expect(checks.network.found).toContain("HF_HUB_OFFLINE");
  });
});

describe("on this Node", () => {
  const main = `${packageRoot()}/dist/src/cli/main.js`;
  const own = { program: process.execPath, args: [main] };

  test("asks the hub that HF_ENDPOINT names, and says when nobody answers", async () => {
    const hub = await startFileServer();
    try {
      const { checks } = await doctor(own, { HF_ENDPOINT: hub.url });
      expect(checks.network).toMatchObject({
        status: "ok",
        facts: { hub: hub.url, hub_reached: true },
      });
    } finally {
      await hub.close();
    }
    const { checks, code } = await doctor(own, { HF_ENDPOINT: hub.url });
    expect(code).toBe(0);
    expect(checks.network).toMatchObject({ status: "warn", facts: { hub_reached: false } });
    expect(checks.network.change).toContain("HTTPS_PROXY");
  });

  test("shows no credentials of a proxy", async () => {
    const { checks } = await doctor(own, {
      ...offline,
      HTTPS_PROXY: "http://me:secret@proxy:3128",
    });
    expect(checks.network.facts.proxy).toBe("proxy:3128");
    expect(JSON.stringify(checks)).not.toContain("secret");
  });

  test("without relaxed SIMD says which flag or Node has it", async () => {
    const { checks } = await doctor(own, offline);
    const hasRelaxed = checks.kernels.facts.relaxed_simd === true;
    expect(hasRelaxed || checks.kernels.change?.includes("--experimental-wasm-relaxed-simd")).toBe(
      true,
    );
    const flagged = await doctor(
      { ...own, args: ["--experimental-wasm-relaxed-simd", main] },
      offline,
    );
    expect(flagged.checks.kernels?.facts.relaxed_simd ?? hasRelaxed).toBe(true);
  });

  test("ends with 1 where pronk cannot run", async () => {
    // 64 MB of WebAssembly memory: no model fits.
    const { code, ok, checks } = await doctor(
      { ...own, args: ["--wasm-max-mem-pages=1000", main] },
      offline,
    );
    expect({ code, ok }).toEqual({ code: 1, ok: false });
    expect(checks.memory.status).toBe("fail");
  });
});
