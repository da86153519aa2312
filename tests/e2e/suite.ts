/** What every runtime must do over HTTP, the same for all: called once a runtime. */
import OpenAI from "openai";
import { expect, test } from "vitest";
import { ANSWER_IDS, QUESTION } from "./environment.ts";
import { type ArrivedEvent, readEvents } from "./event-stream.ts";

export interface Served {
  /** Without a slash at its end. */
  readonly url: () => string;
  /** How many sequences run at a time. */
  readonly slots: number;
}

const MODEL = "smollm2-135m-instruct";
const TIMEOUT_MS = 180_000;

/** Long enough that it is not over by the time anything else is asked. */
const LONG_TOKENS = 200;

export function addTests({ url, slots }: Served): void {
  const chat = (body: Record<string, unknown>, signal?: AbortSignal): Promise<Response> =>
    fetch(`${url()}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: MODEL,
        messages: [{ role: "user", content: QUESTION }],
        temperature: 0,
        return_token_ids: true,
        ...body,
      }),
      signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), ...(signal ? [signal] : [])]),
    });

  const longChat = (signal?: AbortSignal): Promise<Response> =>
    chat(
      {
        messages: [{ role: "user", content: "Write a long story about a llama and a river." }],
        max_tokens: LONG_TOKENS,
        stream: true,
      },
      signal,
    );

  test("answers the question with the expected ids", async () => {
    const response = await chat({});
    const answer = await response.json();
    expect(answer).toMatchObject({
      model: MODEL,
      choices: [{ token_ids: ANSWER_IDS, finish_reason: "stop" }],
      usage: { completion_tokens: ANSWER_IDS.length },
    });
    expect(answer.choices[0].message.content).toBe("A week is approximately 7 days.");
  });

  test("streams one event a token, as it is generated", async () => {
    const events: ArrivedEvent[] = [];
    for await (const event of readEvents(await longChat())) events.push(event);
    expect(events.at(-1)?.data).toBe("[DONE]");
    const tokens = events.filter(({ data }) => tokenIds(data).length > 0);
    expect(tokens.every(({ data }) => tokenIds(data).length === 1)).toBe(true);
    expect(tokens.length).toBeGreaterThan(50);

    // Held back until the end, all would come in one read; two may share one now and then.
    const reads = new Set(tokens.map(({ read }) => read));
    expect(reads.size).toBeGreaterThan(tokens.length * 0.8);
    // And they are spread over the time that generating takes.
    const span = tokens[tokens.length - 1].ms - tokens[0].ms;
    const middle = tokens[tokens.length >> 1].ms - tokens[0].ms;
    expect(middle).toBeGreaterThan(span * 0.2);
    expect(middle).toBeLessThan(span * 0.8);
  });

  test("the stream holds the same ids as the whole answer", async () => {
    const ids: number[] = [];
    for await (const { data } of readEvents(await chat({ stream: true }))) {
      ids.push(...tokenIds(data));
    }
    expect(ids).toEqual(ANSWER_IDS);
  });

  test("stops when the client goes away, and the next request starts at once", async () => {
    const alone = (await (await chat({})).json()).timings;
    const tokenMs = alone.predicted_ms / alone.predicted_n;

    const leave = new AbortController();
    let tokens = 0;
    const left = async (): Promise<void> => {
      for await (const { data } of readEvents(await longChat(leave.signal))) {
        if (tokenIds(data).length > 0 && ++tokens === 4 * slots) leave.abort();
      }
    };
    // Every slot is taken, so that the next request has to wait for one that is freed.
    const outcomes = await Promise.allSettled(Array.from({ length: slots }, () => left()));
    expect(outcomes.map(({ status }) => status)).toEqual(Array(slots).fill("rejected"));

    const { timings } = await (await chat({ max_tokens: 1 })).json();
    // A small part of what it would wait for if one of them went on to its end.
    expect(timings.queue_ms).toBeLessThan(tokenMs * LONG_TOKENS * 0.2);
  });

  test("serves two clients at once", async () => {
    const [first, second] = await Promise.all([chat({}), chat({ stream: true })]);
    const ids: number[] = [];
    for await (const { data } of readEvents(second)) ids.push(...tokenIds(data));
    expect(ids).toEqual(ANSWER_IDS);
    expect((await first.json()).choices[0].token_ids).toEqual(ANSWER_IDS);
  });

  test("a seed gives the same text again, on every runtime", async () => {
    const sampled = { temperature: 1, seed: 7, max_tokens: 12, top_p: 0.9 };
    const answers = [];
    for (let i = 0; i < 2; i++) {
      answers.push((await (await chat(sampled)).json()).choices[0].token_ids);
    }
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[0].length).toBeGreaterThan(2);
  });

  test("the openai client chats, streams, completes and lists models", async () => {
    const client = new OpenAI({
      baseURL: `${url()}/v1`,
      apiKey: "none",
      timeout: TIMEOUT_MS,
      maxRetries: 0,
    });
    const request = {
      model: MODEL,
      messages: [{ role: "user" as const, content: QUESTION }],
      temperature: 0,
    };
    const whole = await client.chat.completions.create(request);
    expect(whole.choices[0].message.content).toBe("A week is approximately 7 days.");

    let text = "";
    for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? "";
    }
    expect(text).toBe("A week is approximately 7 days.");

    const completion = await client.completions.create({
      model: MODEL,
      prompt: "One, two, three,",
      max_tokens: 4,
      temperature: 0,
    });
    expect(completion.choices[0].text).toContain("four");
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toEqual([MODEL]);
  });

  test("the openai client gets vectors, the same bits alone and in company", async () => {
    const client = new OpenAI({
      baseURL: `${url()}/v1`,
      apiKey: "none",
      timeout: TIMEOUT_MS,
      maxRetries: 0,
    });
    const input = [
      "The cat sat on the mat.",
      "A cat is sitting on a rug.",
      "The European Central Bank raised interest rates by 25 points.",
    ];
    // It asks for base64 by itself and decodes that; floats are what it is told to leave alone.
    const { data, usage } = await client.embeddings.create({ model: MODEL, input });
    const vectors = data.map(({ embedding }) => embedding);
    expect(vectors.map(({ length }) => length)).toEqual([576, 576, 576]);
    expect(usage.total_tokens).toBeGreaterThan(20);
    const floats = { model: MODEL, input: input[1], encoding_format: "float" } as const;
    const [alone] = (await client.embeddings.create(floats)).data;
    expect(alone.embedding.map(Math.fround)).toEqual([...vectors[1]].map(Math.fround));
    const [cat, rug, bank] = vectors;
    expect(dot(cat, cat)).toBeCloseTo(1, 5);
    expect(dot(cat, rug)).toBeGreaterThan(dot(cat, bank));
  });

  test("a prompt's log-probabilities are those of its perplexity, the chosen token among the top", async () => {
    const post = async (path: string, body: object) => {
      const response = await fetch(`${url()}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: MODEL, ...body }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      return response.json();
    };
    const prompt = "A week has seven days, and a year has about 52 weeks.";
    const fields = { prompt, max_tokens: 0, logprobs: 2, echo: true };
    const { logprobs, text } = (await post("/v1/completions", fields)).choices[0];
    expect(text).toBe(prompt);
    const [first, ...numbers] = logprobs.token_logprobs as [null, ...number[]];
    expect(first).toBeNull();
    for (const [i, token] of logprobs.tokens.entries()) {
      if (i > 0) expect(logprobs.top_logprobs[i]).toHaveProperty([token]);
    }
    const { nll, tokens } = await post("/perplexity", { prompt });
    expect(numbers).toHaveLength(tokens);
    const sum = numbers.reduce((total, one) => total + one, 0);
    expect(Math.abs(sum + nll * tokens)).toBeLessThan(1e-6);
  });

  test("an answer to a JSON Schema is valid, whole and streamed, and one that is not understood is refused", async () => {
    const schema = {
      type: "object",
      properties: {
        name: { type: "string", maxLength: 20 },
        age: { type: "integer", minimum: 0, maximum: 150 },
        email: { type: "string", format: "email" },
        tags: { type: "array", items: { enum: ["new", "old", "lent"] }, maxItems: 3 },
      },
      required: ["name", "age", "tags"],
      additionalProperties: false,
    };
    const asked = (of: object): Record<string, unknown> => ({
      response_format: { type: "json_schema", json_schema: { name: "person", schema: of } },
    });
    const fields = { ...asked(schema), temperature: 1.5, seed: 3, max_tokens: 120 };
    const [{ message, finish_reason }] = (await (await chat(fields)).json()).choices;
    expect(finish_reason).toBe("stop");
    expect(JSON.parse(message.content)).toMatchObject({
      name: expect.any(String),
      age: expect.any(Number),
      tags: expect.any(Array),
    });
    let text = "";
    for await (const { data } of readEvents(await chat({ ...fields, stream: true }))) {
      if (data !== "[DONE]") text += JSON.parse(data).choices[0]?.delta.content ?? "";
    }
    expect(text).toBe(message.content);
    const refused = await chat(asked({ maxLenght: 3 }));
    expect(refused.status).toBe(400);
    expect((await refused.json()).error.code).toBe("unsupported_schema");
  });

  test("a request that cannot be served gets an error in OpenAI's form", async () => {
    const response = await chat({ messages: [] });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { type: "invalid_request_error", message: expect.any(String) },
    });
    expect((await fetch(`${url()}/health`)).status).toBe(200);
  });
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, number, i) => sum + number * b[i], 0);
}

function tokenIds(data: string): number[] {
  return data === "[DONE]" ? [] : (JSON.parse(data).choices[0]?.token_ids ?? []);
}
