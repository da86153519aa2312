/**
 * pronk behind a service binding, and in a Durable Object: for Workers alone, which have "cloudflare:workers".
 *
 * @module
 * @example
 * export default llmService(createWorker<Env>({ kernels: { relaxed, plain }, pack }));
 */

export { PronkError } from "../../errors.ts";
export type {
  Llm,
  LlmAnswer,
  LlmEmbedOptions,
  LlmInfo,
  LlmPart,
  LlmRequest,
} from "../../server/llm.ts";
export { connectLlm } from "./connect-llm.ts";
export {
  type LlmObject,
  type LlmObjectClass,
  type LlmObjectOptions,
  llmObject,
} from "./llm-object.ts";
export { type LlmServiceClass, llmService } from "./llm-service.ts";
export type { LlmService } from "./llm-wire.ts";
export { type StageServiceClass, type StageServiceOptions, stageService } from "./stage-service.ts";
