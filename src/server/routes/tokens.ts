/** Texts to tokens and back, under the root as evaluation harnesses expect it. */
import { PronkError } from "../../errors.ts";
import { type TokenPiece, tokenPieces } from "../../tokenizers/token-pieces.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import { selectModel } from "../adapters.ts";
import { readJsonObject } from "../body.ts";
import { toChatMessages } from "../chat-messages.ts";
import { encodeChat } from "../chat-prompt.ts";
import type { ServerContext } from "../context.ts";
import { jsonAnswer, type Route } from "../operation.ts";
import { detokenizeAnswer, tokenizeAnswer, tokenizerAnswer } from "../schemas/answers.ts";
import { detokenizeRequest, tokenizeRequest } from "../schemas/evaluation.ts";
import { validate } from "../validate.ts";

export function tokenRoutes(server: ServerContext): Route[] {
  return [
    {
      path: "/tokenize",
      methods: {
        POST: {
          summary: "Cut a text, or messages, into tokens",
          description:
            "Special tokens that a text spells out are those tokens. Messages go through the chat template.",
          tag: "Tokens",
          body: tokenizeRequest,
          refusals: [404],
          answers: { 200: jsonAnswer("The tokens.", tokenizeAnswer) },
          handle: async (c) => {
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const request = validate(tokenizeRequest, body);
            const { prompt, messages } = request;
            const engine = await server.engine(c);
            const { tokenizer, template, info } = engine;
            if (request.model != null) selectModel(engine, request.model, undefined);
            let tokens: number[];
            let pieces: TokenPiece[] | undefined;
            if (prompt != null && messages == null) {
              const addSpecialTokens = request.add_special_tokens ?? true;
              const how = { addSpecialTokens, parseSpecial: true };
              if (request.return_pieces === true) pieces = tokenPieces(tokenizer, prompt, how);
              tokens = pieces?.map(({ id }) => id) ?? tokenizer.encode(prompt, how);
            } else if (messages != null && prompt == null) {
              if (request.return_pieces === true) {
                const message = "return_pieces: places are those in a prompt, not in messages";
                throw new PronkError("bad_request", message, { param: "return_pieces" });
              }
              if (template === undefined) {
                throw new PronkError("unsupported", `messages: ${info.id} has no chat template`, {
                  param: "messages",
                });
              }
              const add_generation_prompt = request.add_generation_prompt ?? true;
              const chat = toChatMessages(messages);
              tokens = encodeChat(template, tokenizer, chat, undefined, { add_generation_prompt });
            } else {
              throw new PronkError("bad_request", "prompt: expected it, or messages, not both", {
                param: "prompt",
              });
            }
            return c.json({
              tokens,
              count: tokens.length,
              max_model_len: info.ctx,
              ...(request.return_token_strs === true && {
                token_strs: tokens.map((id) => tokenizer.tokenText(id)),
              }),
              ...(pieces && { pieces }),
            });
          },
        },
      },
    },
    {
      path: "/detokenize",
      methods: {
        POST: {
          summary: "Spell tokens out",
          tag: "Tokens",
          body: detokenizeRequest,
          refusals: [404],
          answers: { 200: jsonAnswer("The text.", detokenizeAnswer) },
          handle: async (c) => {
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const { model, tokens } = validate(detokenizeRequest, body);
            const engine = await server.engine(c);
            if (model != null) selectModel(engine, model, undefined);
            const { tokenizer } = engine;
            const unknown = tokens.findIndex((id) => id >= tokenizer.vocabSize);
            if (unknown !== -1) {
              const param = `tokens[${unknown}]`;
              const why = `${tokens[unknown]} is not below ${tokenizer.vocabSize}`;
              throw new PronkError("bad_request", `${param}: ${why}`, { param });
            }
            return c.json({ prompt: tokenizer.decode(tokens) });
          },
        },
      },
    },
    {
      path: "/tokenizer_info",
      methods: {
        GET: {
          summary: "Describe the tokenizer",
          tag: "Tokens",
          answers: { 200: jsonAnswer("Its special tokens and template.", tokenizerAnswer) },
          handle: async (c) => {
            const { tokenizer, template, info } = await server.engine(c);
            return c.json({
              // Any that is none of another's own: what a client would do with it is done here.
              tokenizer_class: "PreTrainedTokenizerFast",
              bos_token: spelled(tokenizer, tokenizer.bosId),
              eos_token: spelled(tokenizer, tokenizer.eosId),
              pad_token: spelled(tokenizer, tokenizer.padId),
              unk_token: spelled(tokenizer, tokenizer.unkId),
              chat_template: template?.source ?? null,
              vocab_size: tokenizer.vocabSize,
              model_max_length: info.ctx,
            });
          },
        },
      },
    },
  ];
}

function spelled(tokenizer: Tokenizer, id: number | undefined): string | null {
  return id === undefined ? null : new TextDecoder().decode(tokenizer.tokenBytes(id));
}
