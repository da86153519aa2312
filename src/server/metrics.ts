/**
 * What an operator watches, in Prometheus' text format 0.0.4. Counting is an addition here and there;
 * everything of the engine is asked for when it is scraped.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import type { Engine } from "../engine/engine.ts";
import type { GenerationEnd } from "./metered-engine.ts";
import type { RequestRecord } from "./request-record.ts";

/** Seconds: from a cached prompt's first token to a long prompt's on a small machine. */
const FIRST_TOKEN_BOUNDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Seconds between tokens: from 500 a second to one. */
const TOKEN_BOUNDS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

/** Others are no routes'; there may be any number of them. */
const METHODS = ["GET", "HEAD", "POST", "DELETE"];

type Labels = Readonly<Record<string, string>>;

export class ServerMetrics {
  readonly #requests = new Map<string, { labels: Labels; count: number }>();
  readonly #keys = new Map<string, { requests: number; tokens: number }>();
  readonly #firstToken = new Histogram(FIRST_TOKEN_BOUNDS);
  readonly #betweenTokens = new Histogram(TOKEN_BOUNDS);
  #inFlight = 0;
  #aborted = 0;
  #failedStreams = 0;

  requestBegan(): void {
    this.#inFlight++;
  }

  /** @param status 200 for a stream that began, however it ended. */
  requestEnded(record: RequestRecord, method: string, status: number): void {
    this.#inFlight--;
    if (record.error !== undefined && status < 400) this.#failedStreams++;
    // A path that is no route could be anything, with any method: they are one.
    const { route = "other" } = record;
    const isKnown = route !== "other" && METHODS.includes(method);
    const labels = { method: isKnown ? method : "other", route, status: String(status) };
    const key = Object.values(labels).join(" ");
    const counted = this.#requests.get(key);
    if (counted === undefined) this.#requests.set(key, { labels, count: 1 });
    else counted.count++;
  }

  requestOf(caller: string): void {
    this.#key(caller).requests++;
  }

  tokensOf(caller: string, tokens: number): void {
    this.#key(caller).tokens += tokens;
  }

  generationEnded({
    result,
    firstTokenMs,
    isAborted,
  }: GenerationEnd & { isAborted: boolean }): void {
    if (firstTokenMs !== undefined) this.#firstToken.observe(firstTokenMs / 1000);
    if (isAborted) this.#aborted++;
    if (result === undefined) return;
    const { predicted_n, predicted_ms } = result.timings;
    if (predicted_n > 1) this.#betweenTokens.observe(predicted_ms / (predicted_n - 1) / 1000);
  }

  /** @param engine undefined while there is none; its series are missing then. */
  render(engine: Pick<Engine, "info" | "stats"> | undefined): string {
    const text = new Exposition();
    text.family("pronk_requests_total", "counter", "Answered requests, streams when they end.");
    for (const { labels, count } of this.#requests.values()) text.sample(count, labels);
    text.single(
      "pronk_requests_in_flight",
      "gauge",
      "Requests that are being answered.",
      this.#inFlight,
    );
    text.single(
      "pronk_generations_aborted_total",
      "counter",
      "Generations whose client left.",
      this.#aborted,
    );
    text.single(
      "pronk_streams_failed_total",
      "counter",
      "Streams that ended with an error.",
      this.#failedStreams,
    );
    if (this.#keys.size > 0) {
      text.family(
        "pronk_key_requests_total",
        "counter",
        "Requests let in, by the name of their API key.",
      );
      for (const [key, { requests }] of this.#keys) text.sample(requests, { key });
      text.family(
        "pronk_key_tokens_total",
        "counter",
        "Tokens of prompts and outputs, by the name of the API key.",
      );
      for (const [key, { tokens }] of this.#keys) text.sample(tokens, { key });
    }
    text.histogram(
      "pronk_time_to_first_token_seconds",
      "From a request's arrival to its first token.",
      this.#firstToken,
    );
    text.histogram(
      "pronk_time_per_output_token_seconds",
      "Between the tokens of one generation, on average.",
      this.#betweenTokens,
    );
    text.single(
      "pronk_model_ready",
      "gauge",
      "1 when the model is loaded.",
      engine === undefined ? 0 : 1,
    );
    if (engine !== undefined) describeEngine(text, engine);
    return text.toString();
  }

  #key(name: string): { requests: number; tokens: number } {
    const found = this.#keys.get(name);
    if (found !== undefined) return found;
    const made = { requests: 0, tokens: 0 };
    this.#keys.set(name, made);
    return made;
  }
}

function describeEngine(text: Exposition, { info, stats }: Pick<Engine, "info" | "stats">): void {
  const now = stats();
  const { id: model, backend, kernel, fingerprint, memory, loading } = info;
  text.family("pronk_model_info", "gauge", "Always 1; its labels say what is served.");
  text.sample(1, { model, backend, kernel, fingerprint });
  const counters: [string, string, number][] = [
    ["pronk_prompt_tokens_total", "Tokens of prompts.", now.prompt_tokens],
    ["pronk_prompt_tokens_cached_total", "Of those, taken from the cache.", now.cached_tokens],
    ["pronk_tokens_generated_total", "Tokens of outputs.", now.generated_tokens],
    ["pronk_draft_tokens_total", "Tokens that were proposed and run ahead.", now.draft_tokens],
    [
      "pronk_draft_tokens_accepted_total",
      "Of those, the ones that came.",
      now.accepted_draft_tokens,
    ],
    [
      "pronk_context_shifts_total",
      "Times that a full context was cut to go on.",
      now.context_shifts,
    ],
  ];
  for (const [name, help, value] of counters) text.single(name, "counter", help, value);
  const gauges: [string, string, number][] = [
    ["pronk_queue_depth", "Requests that wait for a slot.", now.queued],
    ["pronk_slots", "Sequences that can run at a time.", now.slots],
    ["pronk_slots_busy", "Of those, the ones that do.", now.busy],
    ["pronk_kv_bytes", "Of the KV cache.", memory.kv],
    ["pronk_weights_bytes", "Of the model's weights.", memory.weights],
    ["pronk_adapter_bytes", "Of the adapters that are loaded.", now.adapter_bytes],
    ["pronk_memory_bytes", "Of the model in all, without adapters.", memory.total],
    ["pronk_context_tokens", "Positions of a sequence.", info.ctx],
    ["pronk_model_created_timestamp_seconds", "When the model was ready.", info.created],
  ];
  if (loading !== undefined) {
    gauges.push(["pronk_model_load_seconds", "What loading took.", loading.total_ms / 1000]);
  }
  for (const [name, help, value] of gauges) text.single(name, "gauge", help, value);
}

class Histogram {
  readonly bounds: readonly number[];
  /** By bucket, the last one without a bound. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const bucket = this.bounds.findIndex((bound) => value <= bound);
    const index = bucket === -1 ? this.bounds.length : bucket;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.sum += value;
  }
}

class Exposition {
  readonly #lines: string[] = [];
  #name = "";

  family(name: string, type: "counter" | "gauge" | "histogram", help: string): void {
    this.#name = name;
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  }

  sample(value: number, labels: Labels = {}, suffix = ""): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    const braces = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
    this.#lines.push(`${this.#name}${suffix}${braces} ${value}`);
  }

  single(name: string, type: "counter" | "gauge", help: string, value: number): void {
    this.family(name, type, help);
    this.sample(value);
  }

  histogram(name: string, help: string, { bounds, counts, sum }: Histogram): void {
    this.family(name, "histogram", help);
    let total = 0;
    for (const [i, count] of counts.entries()) {
      total += count;
      this.sample(total, { le: i < bounds.length ? String(bounds[i]) : "+Inf" }, "_bucket");
    }
    this.sample(sum, {}, "_sum");
    this.sample(total, {}, "_count");
  }

  toString(): string {
    return `${this.#lines.join("\n")}\n`;
  }
}

function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
