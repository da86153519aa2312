/** Requests that every route of the server answers, with most of what their fields may hold. */

export interface FuzzRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** In place of `body`: what is no JSON, or JSON that JSON.stringify does not write. */
  readonly raw?: string;
  /** Chunks of the answer that are read before the client leaves. Absent: all. */
  readonly leaveAfter?: number;
}

const model = "toy/llama";
const messages = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "How many days?" },
];
const schema = {
  type: "object",
  properties: { a: { type: "integer", minimum: 1, maximum: 9 } },
  required: ["a"],
};
const tools = [
  {
    type: "function",
    function: { name: "weather", description: "Of a city.", parameters: schema, strict: true },
  },
];
const tool = { type: "function", name: "weather", parameters: schema };

export const REQUESTS: readonly FuzzRequest[] = [
  {
    path: "/v1/chat/completions",
    body: {
      ...{
        model,
        messages,
        max_tokens: 6,
        temperature: 0.7,
        top_p: 0.9,
        top_k: 20,
        min_p: 0.1,
        seed: 7,
        n: 2,
      },
      ...{
        stop: ["x", "yz"],
        presence_penalty: 0.5,
        frequency_penalty: -0.5,
        logit_bias: { "17": 3 },
        user: "u",
        cache_salt: "s",
      },
      ...{
        logprobs: true,
        top_logprobs: 3,
        metadata: { a: "b" },
        store: false,
        service_tier: "auto",
      },
    },
  },
  {
    path: "/v1/chat/completions",
    body: { model, messages, stream: true, stream_options: { include_usage: true } },
  },
  {
    path: "/v1/chat/completions",
    body: {
      model,
      messages,
      max_tokens: 8,
      response_format: { type: "json_schema", json_schema: { name: "a", schema, strict: true } },
    },
  },
  {
    path: "/v1/chat/completions",
    body: { model, messages, tools, tool_choice: "auto", parallel_tool_calls: true, max_tokens: 8 },
  },
  {
    path: "/v1/chat/completions",
    body: {
      ...{ model, max_tokens: 3, tools },
      messages: [
        ...messages,
        {
          role: "assistant",
          content: null,
          tool_calls: [
            { id: "call_1", type: "function", function: { name: "weather", arguments: '{"a":1}' } },
          ],
        },
        { role: "tool", tool_call_id: "call_1", content: [{ type: "text", text: "warm" }] },
      ],
    },
  },
  { path: "/v1/chat/completions", body: { model, messages, max_tokens: 5, regex: "[a-c]{2,4}" } },
  {
    path: "/v1/chat/completions",
    body: { model, messages, max_tokens: 5, grammar: 'root ::= "a" | "b"' },
  },
  {
    path: "/v1/completions",
    body: {
      ...{
        model,
        prompt: ["Once", "Twice"],
        max_tokens: 4,
        echo: true,
        logprobs: 2,
        n: 1,
        best_of: 2,
        stop: ".",
      },
      ...{ temperature: 1, stream: false, seed: 1 },
    },
  },
  { path: "/v1/completions", body: { model, prompt: [1, 2, 3], max_tokens: 4, stream: true } },
  {
    path: "/v1/responses",
    body: {
      ...{
        model,
        instructions: "Be brief.",
        max_output_tokens: 16,
        temperature: 0,
        tools: [tool],
        tool_choice: "auto",
      },
      ...{
        input: [{ role: "user", content: [{ type: "input_text", text: "Hi" }] }],
        cache_salt: "s",
        metadata: { a: "b" },
        store: true,
      },
    },
  },
  {
    path: "/v1/responses",
    body: {
      model,
      input: "Hi",
      stream: true,
      max_output_tokens: 16,
      text: { format: { type: "json_schema", name: "a", schema } },
    },
  },
  { path: "/v1/responses/input_tokens", body: { model, input: "Hi there" } },
  {
    path: "/v1/embeddings",
    body: {
      model,
      input: ["a", "b"],
      encoding_format: "base64",
      dimensions: 4,
      pooling: "mean",
      normalize: true,
    },
  },
  { path: "/score", body: { context: "hello", continuations: [" there", " you"] } },
  { path: "/perplexity", body: { prompt: "hello there, how are you" } },
  { path: "/tokenize", body: { prompt: "héllo", add_special_tokens: true } },
  { path: "/tokenize", body: { messages } },
  { path: "/detokenize", body: { tokens: [1, 2, 3] } },
  { path: "/lora-adapters", body: [] },
  { path: "/v1/load_lora_adapter", body: { lora_name: "new", lora_path: "place" } },
  { path: "/v1/unload_lora_adapter", body: { lora_name: "new" } },
  {
    path: "/v1/messages",
    body: {
      model,
      messages: messages.slice(1),
      system: "Be brief.",
      max_tokens: 6,
      stop_sequences: ["x"],
      temperature: 0.5,
    },
  },
  {
    path: "/v1/messages",
    body: {
      ...{
        model,
        max_tokens: 6,
        stream: true,
        tools: [{ name: "weather", description: "", input_schema: schema }],
      },
      ...{
        tool_choice: { type: "auto" },
        messages: [{ role: "user", content: [{ type: "text", text: "Hi" }] }],
      },
    },
  },
  { path: "/v1/messages/count_tokens", body: { model, messages: messages.slice(1) } },
  {
    path: "/api/chat",
    body: {
      model,
      messages,
      stream: false,
      options: { num_predict: 3, temperature: 0, stop: ["x"], seed: 1 },
    },
  },
  {
    path: "/api/chat",
    body: { model, messages, format: schema, keep_alive: "5m", options: { num_predict: 6 } },
  },
  {
    path: "/api/generate",
    body: { model, prompt: "Once", system: "s", options: { num_predict: 3 } },
  },
  { path: "/api/embed", body: { model, input: ["a", "b"], truncate: true } },
  { path: "/api/embeddings", body: { model, prompt: "a" } },
  { path: "/api/show", body: { model } },
  ...[
    "/v1/models",
    "/v1/models/toy%2Fllama",
    "/health",
    "/metrics",
    "/openapi.json",
    "/tokenizer_info",
    "/api/tags",
  ].map((path) => ({ method: "GET", path })),
];
