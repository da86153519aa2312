// What lies in an isolate's 128 MB, to scale, for the form that the budget chooses at 1,024 positions.
import { box, drawing, text } from "./drawing.mjs";

/** Of SmolLM2-135M with an int8 cache: 30 layers of 3 heads of keys and values, 64 bytes and a scale of 4 each. */
const CACHE_BYTES_A_POSITION = 30 * 2 * 3 * 68;

/** Of JavaScript at its peak, in workerd: tests/e2e/workerd-memory.test.ts. */
const JAVASCRIPT_MB = 13;
const ISOLATE_MB = 128;

/** @param measured docs/benchmarks.json's isolate. */
export function isolate({ fitting }) {
  const form = fitting.forms.find(({ ctx }) => ctx === 1024);
  const weights = form.weight_bytes / 1e6;
  const cache = (CACHE_BYTES_A_POSITION * form.ctx) / 1e6;
  const rest = form.plan_bytes / 1e6 - weights - cache;
  const parts = [
    ["weights", weights, "strong", `${form.quantization}, profile ${form.profile}`],
    ["cache", cache, "warm", `${form.ctx.toLocaleString("en")} positions, ${form.kv}`],
    ["the rest", rest, "box", "activations, scratch, stack"],
    ["JavaScript", JAVASCRIPT_MB, "box", "at its peak: router, tokenizer, V8"],
    ["free", ISOLATE_MB - weights - cache - rest - JAVASCRIPT_MB, "none", "for your own code"],
  ];
  const width = 760;
  const scale = (width - 40) / ISOLATE_MB;
  let x = 20;
  const bars = parts.map(([name, mb, kind]) => {
    const bar = `<rect class="${kind}" x="${x.toFixed(1)}" y="52" width="${(mb * scale).toFixed(1)}" height="56"/>`;
    const label = mb * scale > 9 * name.length ? text((x + 10).toFixed(1), 86, name, "head") : "";
    x += mb * scale;
    return [bar, label];
  });
  const rows = parts.map(([name, mb, kind, what], i) => [
    box({ x: 20, y: 128 + i * 26, width: 16, height: 16, kind }),
    text(46, 141 + i * 26, name, "head"),
    text(190, 141 + i * 26, `${mb.toFixed(1)} MB`, ""),
    text(280, 141 + i * 26, what, "small"),
  ]);
  const said = parts.map(([name, mb, , what]) => `${name} ${mb.toFixed(1)} MB (${what})`);
  return drawing(
    {
      width,
      height: 276,
      title: "The memory of an isolate",
      description: `A bar of 128 MB, to scale: ${said.join("; ")}.`,
    },
    [text(20, 34, "128 MB of an isolate, SmolLM2-135M-Instruct", "head"), bars, rows],
  );
}
