/** The `openai` package against a server: every endpoint and mode, streamed and not. */
import OpenAI, {
  APIError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
} from "openai";
import { zodFunction, zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { ANSWER_IDS, QUESTION } from "../environment.ts";
import { KEY, MODEL } from "./served-app.ts";

const ANSWER = "A week is approximately 7 days.";
const messages = [{ role: "user" as const, content: QUESTION }];
const week = { model: MODEL, messages, temperature: 0 };
const Days = z.object({ days: z.int().min(1).max(9), holiday: z.boolean() });
const Weather = z.object({ city: z.enum(["Paris", "Rome"]), days: z.int().min(1).max(9) });

export function addOpenAiTests(url: () => string): void {
  const clientOf = (path = "", options: object = {}): OpenAI =>
    new OpenAI({
      baseURL: `${url()}${path}/v1`,
      apiKey: KEY,
      maxRetries: 0,
      timeout: 300_000,
      ...options,
    });
  const isIdle = async (): Promise<void> => {
    const busy = async () => {
      const { busy, queued } = await (await fetch(`${url()}/stats`)).json();
      return busy + queued;
    };
    await expect.poll(busy, { timeout: 5_000 }).toBe(0);
  };

  describe("chat completions", () => {
    test("whole", async () => {
      const completion = await clientOf().chat.completions.create(week);
      expect(completion).toMatchObject({
        object: "chat.completion",
        model: MODEL,
        choices: [
          {
            index: 0,
            message: { role: "assistant", content: ANSWER, refusal: null },
            logprobs: null,
            finish_reason: "stop",
          },
        ],
        usage: { completion_tokens: ANSWER_IDS.length },
      });
      expect(completion._request_id).toMatch(/^req_/);
    });

    test("as a raw stream: role first, a finish reason last, the usage only when asked for", async () => {
      for (const include_usage of [false, true]) {
        const chunks: OpenAI.ChatCompletionChunk[] = [];
        const stream = await clientOf().chat.completions.create({
          ...week,
          stream: true,
          ...(include_usage ? { stream_options: { include_usage } } : {}),
        });
        for await (const chunk of stream) chunks.push(chunk);
        if (include_usage) {
          expect(chunks.at(-1)).toMatchObject({
            choices: [],
            usage: { completion_tokens: ANSWER_IDS.length },
          });
          expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
          chunks.pop();
        }
        expect(chunks[0]?.choices[0]?.delta).toEqual({ role: "assistant", content: "" });
        const reasons = chunks.map(({ choices: [choice] }) => choice?.finish_reason);
        expect(reasons).toEqual([...Array(chunks.length - 1).fill(null), "stop"]);
        expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
        const text = chunks.map(({ choices: [choice] }) => choice?.delta.content ?? "").join("");
        expect(text).toBe(ANSWER);
      }
    });

    test("as several choices, through the stream helper", async () => {
      const { choices } = await clientOf()
        .chat.completions.stream({ ...week, n: 2 })
        .finalChatCompletion();
      expect(choices.map(({ message }) => message.content)).toEqual([ANSWER, ANSWER]);
    });

    test("with log-probabilities, the same whole and streamed", async () => {
      const asked = { ...week, logprobs: true, top_logprobs: 2 };
      const whole = await clientOf().chat.completions.create(asked);
      const streamed = await clientOf().chat.completions.stream(asked).finalChatCompletion();
      const entries = whole.choices[0]?.logprobs?.content ?? [];
      expect(entries.map(({ token }) => token).join("")).toBe(ANSWER);
      expect(entries.every((e) => e.top_logprobs.some(({ token }) => token === e.token))).toBe(
        true,
      );
      expect(streamed.choices[0]?.logprobs?.content).toEqual(entries);
    });

    test("parsed by a schema, whole and streamed, at a high temperature", async () => {
      const response_format = zodResponseFormat(Days, "days");
      const asked = { ...week, temperature: 1.5, seed: 5, response_format };
      const whole = await clientOf().chat.completions.parse(asked);
      expect(Days.parse(whole.choices[0]?.message.parsed)).toEqual(
        whole.choices[0]?.message.parsed,
      );
      const streamed = await clientOf().chat.completions.stream(asked).finalChatCompletion();
      expect(streamed.choices[0]?.message.parsed).toEqual(whole.choices[0]?.message.parsed);
    });

    test("with tools, called as required and run by its helper", async () => {
      const tools = [zodFunction({ name: "weather", parameters: Weather })];
      const asked = {
        ...week,
        temperature: 1.2,
        seed: 5,
        tools,
        tool_choice: "required" as const,
        parallel_tool_calls: false,
        max_completion_tokens: 120,
      };
      const whole = await clientOf().chat.completions.parse(asked);
      const [choice] = whole.choices;
      expect(choice?.finish_reason).toBe("tool_calls");
      const [call] = choice?.message.tool_calls ?? [];
      expect(Weather.safeParse(call?.function.parsed_arguments).success).toBe(true);
      const streamed = await clientOf().chat.completions.stream(asked).finalChatCompletion();
      const [again] = streamed.choices[0]?.message.tool_calls ?? [];
      expect(again).toMatchObject({
        function: { name: "weather", arguments: call?.function.arguments },
      });
      const next = await clientOf().chat.completions.create({
        ...week,
        tools,
        tool_choice: "none",
        max_completion_tokens: 8,
        messages: [
          ...messages,
          choice!.message,
          { role: "tool", tool_call_id: call!.id, content: "sunny" },
        ],
      });
      expect(next.usage?.completion_tokens).toBeLessThanOrEqual(8);
    });
  });

  test("completions: texts and ids, echoed, whole and streamed", async () => {
    const asked = { model: MODEL, prompt: ["One, two,", "The capital of"], max_tokens: 3 };
    const client = clientOf();
    const { choices, usage } = await client.completions.create({
      ...asked,
      temperature: 0,
      echo: true,
      logprobs: 1,
    });
    expect(choices.map(({ index }) => index)).toEqual([0, 1]);
    expect(choices[0]?.text.startsWith("One, two,")).toBe(true);
    const { tokens = [], token_logprobs = [] } = choices[0]?.logprobs ?? {};
    expect(tokens.join("")).toBe(choices[0]?.text);
    expect(token_logprobs[0]).toBeNull();
    expect(usage?.completion_tokens).toBe(6);
    const texts = ["", ""];
    const stream = await client.completions.create({ ...asked, temperature: 0, stream: true });
    for await (const { choices: parts } of stream) {
      for (const { index, text } of parts) texts[index] += text;
    }
    expect(texts.map((text, i) => `${asked.prompt[i]}${text}`)).toEqual(
      choices.map(({ text }) => text),
    );
  });

  describe("responses", () => {
    const asked = { model: MODEL, input: QUESTION, temperature: 0 };

    test("whole, streamed by the helper, and continued", async () => {
      const client = clientOf();
      const whole = await client.responses.create(asked);
      expect(whole).toMatchObject({ status: "completed", output_text: ANSWER });
      const types: string[] = [];
      const stream = client.responses.stream(asked);
      stream.on("event", ({ type }) => {
        if (types.at(-1) !== type) types.push(type);
      });
      const streamed = await stream.finalResponse();
      expect(streamed.output_text).toBe(ANSWER);
      expect(types[0]).toBe("response.created");
      expect(types).toContain("response.output_text.delta");
      expect(types.at(-1)).toBe("response.completed");
      const next = await client.responses.create({
        ...asked,
        input: "And in two weeks?",
        previous_response_id: whole.id,
        max_output_tokens: 16,
      });
      expect(next.usage?.input_tokens).toBeGreaterThan(whole.usage!.input_tokens);
    });

    test("parsed by a schema", async () => {
      const { output_parsed } = await clientOf().responses.parse({
        ...asked,
        temperature: 1.5,
        text: { format: zodTextFormat(Days, "days") },
      });
      expect(Days.safeParse(output_parsed).success).toBe(true);
    });
  });

  test("embeddings: base64 by default, the same as floats", async () => {
    const asked = { model: MODEL, input: ["seven days", "a week"] };
    const packed = await clientOf().embeddings.create(asked);
    const plain = await clientOf().embeddings.create({ ...asked, encoding_format: "float" });
    expect(packed.data.map(({ embedding }) => embedding.length)).toEqual([576, 576]);
    expect(packed.data.map(({ embedding }) => embedding)).toEqual(
      plain.data.map(({ embedding }) => embedding.map(Math.fround)),
    );
    expect(packed.usage.total_tokens).toBeGreaterThan(3);
  });

  test("score, by the client's own way to routes that it does not know", async () => {
    const client = clientOf("", { baseURL: url() });
    const body = { model: MODEL, context: "One, two, three,", continuations: [" four", " llama"] };
    const { data } = await client.post<{
      data: { index: number; logprob: number; is_greedy: boolean }[];
    }>("/score", { body });
    expect(data.map(({ index }) => index)).toEqual([0, 1]);
    expect(data[0]!.logprob).toBeGreaterThan(data[1]!.logprob);
    expect(data[0]!.is_greedy).toBe(true);
    await expect(
      client.post("/score", { body: { ...body, continuations: [] } }),
    ).rejects.toBeInstanceOf(BadRequestError);
  });

  test("rerank: refused by its name for a model without a head", async () => {
    const body = { model: MODEL, query: "days", documents: ["a week", "a llama"] };
    const error = await clientOf()
      .post("/rerank", { body })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BadRequestError);
    expect((error as BadRequestError).message).toContain("head");
  });

  test("models: with a slash in the name", async () => {
    const { data } = await clientOf().models.list();
    expect(data.map(({ id }) => id)).toEqual([MODEL]);
    expect(await clientOf().models.retrieve(MODEL)).toMatchObject({ id: MODEL });
  });

  describe("failures", () => {
    test("have the classes that the client knows, and its fields", async () => {
      const { chat, models } = clientOf();
      const error = await chat.completions
        .create({ ...week, temperature: 5 })
        .catch((e: unknown) => e);
      expect(error).toBeInstanceOf(BadRequestError);
      expect(error).toMatchObject({
        param: "temperature",
        code: "invalid_value",
        requestID: expect.stringMatching(/^req_/),
      });
      await expect(models.retrieve("org/none")).rejects.toThrow(NotFoundError);
      const stranger = clientOf("", { apiKey: "wrong" });
      await expect(stranger.models.list()).rejects.toThrow(AuthenticationError);
      const long = [{ role: "user" as const, content: "word ".repeat(1000) }];
      const overflow = chat.completions.create({ ...week, messages: long, stream: true });
      await expect(overflow).rejects.toMatchObject({ code: "context_length_exceeded" });
    });

    test("that pass are tried again, as retry-after tells", async () => {
      const asked = { ...week, max_completion_tokens: 1 };
      const hasty = clientOf("/cold").chat.completions.create(asked);
      const error = await hasty.catch((e: unknown) => e);
      expect(error).toBeInstanceOf(InternalServerError);
      expect(error).toMatchObject({ code: "model_loading" });
      const headers = (error as InstanceType<typeof InternalServerError>).headers;
      expect(headers?.get("x-should-retry")).toBe("true");
      expect(Number(headers?.get("retry-after-ms"))).toBeGreaterThan(0);
      await clientOf("/cold").chat.completions.create(asked); // leaves it at its start again
      const patient = await clientOf("/cold", { maxRetries: 1 }).chat.completions.create(asked);
      expect(patient.usage?.completion_tokens).toBe(1);
    });

    test("in the middle of a stream are thrown with their code", async () => {
      let text = "";
      const read = async (): Promise<void> => {
        const stream = await clientOf("/faulty").chat.completions.create({ ...week, stream: true });
        for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
      };
      const error = await read().catch((e: unknown) => e);
      expect(error).toBeInstanceOf(APIError);
      expect(error).toMatchObject({ code: "engine_failed" });
      expect(ANSWER.startsWith(text)).toBe(true);
      expect(text.length).toBeGreaterThan(3);
      const helper = clientOf("/faulty").chat.completions.stream(week).finalChatCompletion();
      await expect(helper).rejects.toThrow(APIError);
    });

    test("of patience: leaving a stream or an answer stops the engine", async () => {
      const endless = { ...week, ...{ ignore_eos: true } };
      const { chat } = clientOf();
      for await (const chunk of await chat.completions.create({ ...endless, stream: true })) {
        if (chunk.choices[0]?.delta.content) break;
      }
      await isIdle();
      const stream = chat.completions.stream(endless);
      stream.on("content", () => stream.abort());
      await expect(stream.done()).rejects.toThrow(APIUserAbortError);
      await isIdle();
      const leave = new AbortController();
      // A local workerd that has written nothing yet does not notice: the answer goes on to its end.
      const long = { ...endless, max_completion_tokens: 100 };
      const answer = chat.completions.create(long, { signal: leave.signal });
      setTimeout(() => leave.abort(), 300);
      await expect(answer).rejects.toThrow(APIUserAbortError);
      await isIdle();
    });
  });
}
