/**
 * pronk on Cloudflare Workers.
 *
 * @module
 * @example
 * import { createWorker, r2Source } from "pronk/cloudflare";
 * import plain from "pronk/kernels/plain.wasm";
 * import relaxed from "pronk/kernels/relaxed.wasm";
 * export default createWorker({
 *   kernels: { relaxed, plain },
 *   pack: (env) => r2Source(env.MODELS, "smollm2-135m-instruct"),
 * });
 */
export { PronkError } from "../../errors.ts";
export { packRelease } from "../../pack/release.ts";
export {
  createApp,
  createFront,
  createLlm,
  jsonLogLine,
  parseApiKeys,
  textLogLine,
} from "../../server/app.ts";
export { saveChatSnapshot } from "../../server/chat-snapshot.ts";
export type {
  Llm,
  LlmAnswer,
  LlmEmbedOptions,
  LlmInfo,
  LlmOptions,
  LlmPart,
  LlmRequest,
} from "../../server/llm.ts";
export { type AssetsLike, assetsFolder as assetsSource } from "../../sources/assets.ts";
export { httpFolder } from "../../sources/http.ts";
export { r2Folder as r2Source } from "../../sources/r2.ts";
export * from "../types.ts";
export { connectLlm } from "./connect-llm.ts";
export {
  type ContainerLike,
  type ContainerNamespaceLike,
  ContainerObject,
  type ContainerStateLike,
  containerFetch,
} from "./container-object.ts";
export {
  createFrontWorker,
  type EngineNamespace,
  type FrontWorkerOptions,
} from "./create-front-worker.ts";
export {
  createStagedWorker,
  type StageBinding,
  type StagedWorker,
  type StagedWorkerOptions,
} from "./create-staged-worker.ts";
export { createWorker, type Worker, type WorkerOptions } from "./create-worker.ts";
export {
  createEngineObject,
  type EngineObject,
  type EngineObjectClass,
  type EngineObjectOptions,
} from "./engine-object.ts";
export { type CacheNamespace, kvResponseCache } from "./kv-response-cache.ts";
export type { LlmService } from "./llm-wire.ts";
export * from "./models.ts";
export { durableQuotaStore, QuotaObject } from "./quota-object.ts";
export { kvResponseStore, r2ResponseStore } from "./response-stores.ts";
export { durableResponseStore, ResponsesObject } from "./responses-object.ts";
export {
  cachedSource,
  type S3CredentialSource,
  type S3Credentials,
  s3Source,
} from "./sources.ts";
export * from "./tokenizers.ts";
