/** Ollama's API: chat, generate and what clients ask before they use them. */
import { PronkError } from "../../errors.ts";
import { readJsonObject } from "../body.ts";
import { type ChatServer, type RunningChat, runChat, runPrompt } from "../chat-run.ts";
import type { ServerContext } from "../context.ts";
import { type Answer, type ErrorForm, jsonAnswer, type Route } from "../operation.ts";
import { renamedError } from "../renamed-error.ts";
import { validate } from "../validate.ts";
import { CHAT_SHAPE, GENERATE_SHAPE, type OllamaShape, ollamaAnswer, timeOf } from "./answer.ts";
import { embedRoutes } from "./embed-routes.ts";
import { listModels, showModel } from "./models.ts";
import { chatBody, generateBody, OLLAMA_NAMES } from "./request.ts";
import {
  ollamaChatAnswer,
  ollamaChatRequest,
  ollamaError,
  ollamaGenerateAnswer,
  ollamaGenerateRequest,
  ollamaModelsAnswer,
  ollamaShowAnswer,
  ollamaShowRequest,
  ollamaVersionAnswer,
} from "./schemas.ts";

/** The release of Ollama whose API this is: clients compare it with what they need. */
const API_VERSION = "0.13.0";

const TAG = "Ollama";

export const OLLAMA_ERRORS: ErrorForm = {
  schema: ollamaError,
  spell: ({ body }) => ({ error: body.error.message }),
};

export function ollamaRoutes(server: ServerContext): Route[] {
  const errors = OLLAMA_ERRORS;
  const streamed = (of: Answer["content"][string]): Answer => ({
    description: "The answer; as lines of JSON unless `stream` is false.",
    content: { "application/json": of, "application/x-ndjson": of },
  });
  /** A request without anything to answer asks for the model to be there. */
  const loaded = (model: string, shape: OllamaShape): object => ({
    model,
    created_at: timeOf(server.clock.wall()),
    ...shape.part(""),
    done: true,
    done_reason: "load",
  });
  return [
    {
      path: "/api/chat",
      errors,
      methods: {
        POST: {
          summary: "Answer a chat, as Ollama does",
          tag: TAG,
          body: ollamaChatRequest,
          refusals: [404],
          answers: { 200: streamed(ollamaChatAnswer) },
          handle: async (c) => {
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const request = validate(ollamaChatRequest, body);
            const { model } = request;
            const engine = await server.engine(c);
            if (!request.messages?.length) {
              showModel(engine, model, c.get("record").caller);
              return c.json(loaded(model, CHAT_SHAPE));
            }
            const asked = chatBody(request, engine);
            const chats: ChatServer = { ...server, engine: () => server.engineWithRoom(c) };
            const begin = (abort: AbortController): Promise<RunningChat> =>
              runChat(asked, chats, abort).catch(rename);
            const isStream = request.stream !== false;
            return ollamaAnswer(c, server, begin, { shape: CHAT_SHAPE, model, isStream });
          },
        },
      },
    },
    {
      path: "/api/generate",
      errors,
      methods: {
        POST: {
          summary: "Answer a prompt, as Ollama does",
          tag: TAG,
          body: ollamaGenerateRequest,
          refusals: [404],
          answers: { 200: streamed(ollamaGenerateAnswer) },
          handle: async (c) => {
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const request = validate(ollamaGenerateRequest, body);
            const { model, prompt, raw } = request;
            const engine = await server.engine(c);
            if (!prompt) {
              showModel(engine, model, c.get("record").caller);
              return c.json(loaded(model, GENERATE_SHAPE));
            }
            const asked = generateBody(request, engine);
            const chats: ChatServer = { ...server, engine: () => server.engineWithRoom(c) };
            const begin = (abort: AbortController): Promise<RunningChat> =>
              (raw === true
                ? runPrompt(prompt, asked, chats, abort)
                : runChat(asked, chats, abort)
              ).catch(rename);
            const isStream = request.stream !== false;
            return ollamaAnswer(c, server, begin, { shape: GENERATE_SHAPE, model, isStream });
          },
        },
      },
    },
    ...embedRoutes(server, errors, TAG),
    {
      path: "/api/tags",
      errors,
      methods: {
        GET: {
          summary: "List the models, as Ollama does",
          tag: TAG,
          answers: { 200: jsonAnswer("The model and its adapters.", ollamaModelsAnswer) },
          handle: async (c) =>
            c.json({ models: listModels(await server.engine(c), c.get("record").caller) }),
        },
      },
    },
    {
      path: "/api/ps",
      errors,
      methods: {
        GET: {
          summary: "List the models that are loaded, as Ollama does",
          tag: TAG,
          answers: { 200: jsonAnswer("The model and its adapters.", ollamaModelsAnswer) },
          handle: async (c) => {
            const engine = await server.engine(c);
            const models = listModels(engine, c.get("record").caller);
            return c.json({
              models: models.map((one) => ({
                ...one,
                size_vram: 0,
                context_length: engine.info.ctx,
              })),
            });
          },
        },
      },
    },
    {
      path: "/api/show",
      errors,
      methods: {
        POST: {
          summary: "Say what a model is, as Ollama does",
          tag: TAG,
          body: ollamaShowRequest,
          refusals: [404],
          answers: { 200: jsonAnswer("What is known of it.", ollamaShowAnswer) },
          handle: async (c) => {
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const { model, name } = validate(ollamaShowRequest, body);
            const asked = model ?? name;
            if (asked == null) {
              throw new PronkError("bad_request", "model: expected a string, got nothing", {
                param: "model",
              });
            }
            return c.json(showModel(await server.engine(c), asked, c.get("record").caller));
          },
        },
      },
    },
    {
      path: "/api/version",
      errors,
      isPublic: true,
      methods: {
        GET: {
          summary: "Say which release of Ollama's API this is",
          tag: TAG,
          isStatic: true,
          answers: { 200: jsonAnswer("The release.", ollamaVersionAnswer) },
          handle: (c) => c.json({ version: API_VERSION }),
        },
      },
    },
  ];
}

function rename(error: unknown): never {
  throw renamedError(error, OLLAMA_NAMES);
}
