/** What every public entry shares. */
export type { KvType, MemoryUse } from "../backends/backend.ts";
export type { AdapterInfo } from "../engine/adapter-set.ts";
export type { LocalEngine } from "../engine/create-engine.ts";
export type { EmbedOptions, Pooling } from "../engine/embed.ts";
export type { Engine, EngineStats, Generation, ModelInfo } from "../engine/engine.ts";
export type { AdapterSource, EngineAdapters } from "../engine/load-adapters.ts";
export type { LoadTimings } from "../engine/load-timings.ts";
export type { ModelInput } from "../engine/opened-model.ts";
export type { PrefixRequest, PrefixStorage } from "../engine/prefix-storage.ts";
export type { PromptLogprobs } from "../engine/prompt-logprobs.ts";
export type { ContinuationRequest, ContinuationScore } from "../engine/score-continuations.ts";
export type { SnapshotInfo } from "../engine/snapshots.ts";
export type { ErrorCode } from "../errors.ts";
export type { TokenLogprobs } from "../generate/logprobs.ts";
export type { Perplexity } from "../generate/perplexity.ts";
export type {
  AdapterChoice,
  FinishReason,
  GenerateRequest,
  GenerateResult,
  SamplingOptions,
  Timings,
  TokenLogprob,
  TokenPart,
} from "../generate/request.ts";
export type { GrammarSpec } from "../grammar/grammar-compiler.ts";
export type { SchemaStructure, Structure } from "../grammar/structure.ts";
export { AssetCard } from "../hub/assets/asset-card.ts";
export { type AssetSource, AssetStore } from "../hub/assets/asset-store.ts";
export { parseAssetCard, parseAssetCards } from "../hub/assets/parse-asset-cards.ts";
export { LlamaModelHub } from "../hub/llama-model-hub.ts";
export { LlamaTokenizerHub, type TokenizerSettings } from "../hub/llama-tokenizer-hub.ts";
export type {
  AttentionGrid,
  VisualizeOptions,
  VisualizerSource,
} from "../llama/attention-mask-visualizer.ts";
export type { AutoClasses, AutoModelClass } from "../llama/auto/auto-classes.ts";
export type { ConfigOptions } from "../llama/auto/auto-config.ts";
export type { PretrainedTokenizerOptions, TokenizerSource } from "../llama/auto/auto-tokenizer.ts";
export type { ConfigClass, PretrainedClasses } from "../llama/auto/bind-classes.ts";
export {
  fromFairseq2,
  LLaMAConfig,
  type LLaMARoPEScaleConfig,
  toFairseq2,
} from "../llama/fairseq2-config.ts";
export type { LlamaConfigFields } from "../llama/llama-config.ts";
export { fromMetaParams, type MetaParams, toMetaParams } from "../llama/meta-params.ts";
export type { ModelClass, ModelClasses } from "../llama/modeling/bind-models.ts";
export type { Embedding } from "../llama/modeling/embedding.ts";
export type { ForwardInputs } from "../llama/modeling/forward-inputs.ts";
export { KvCache } from "../llama/modeling/kv-cache.ts";
export type {
  CausalLMOutputWithPast,
  CausalLmInputs,
} from "../llama/modeling/llama-for-causal-lm.ts";
export type {
  QuestionAnsweringInputs,
  QuestionAnsweringModelOutput,
} from "../llama/modeling/llama-for-question-answering.ts";
export type {
  SequenceClassificationInputs,
  SequenceClassifierOutputWithPast,
} from "../llama/modeling/llama-for-sequence-classification.ts";
export type {
  TokenClassificationInputs,
  TokenClassifierOutput,
} from "../llama/modeling/llama-for-token-classification.ts";
export type { BaseModelOutputWithPast } from "../llama/modeling/llama-model.ts";
export type { ConfigOverrides, PretrainedOptions } from "../llama/modeling/pretrained-options.ts";
export type {
  PretrainedProgress,
  PretrainedSource,
  SourceOptions,
} from "../llama/modeling/pretrained-source.ts";
export type { ResizeOptions } from "../llama/modeling/resize-embeddings.ts";
export type { RandomOptions } from "../llama/modeling/runnable-model.ts";
export type { FileSink, SavePretrainedOptions } from "../llama/modeling/save-pretrained.ts";
export type { Tensor } from "../llama/modeling/tensor.ts";
export {
  BitsAndBytesConfig,
  type BitsAndBytesOptions,
  Int4WeightOnlyConfig,
  type Int4WeightOnlyOptions,
  Int8WeightOnlyConfig,
  type QuantizationConfig,
  TorchAoConfig,
} from "../llama/quantization-config.ts";
export { FAIRSEQ2_ARCHITECTURES, LLAMA_SIZES } from "../model/presets.ts";
export { signedPack } from "../pack/checked-folder.ts";
export type { Manifest, PackSignature } from "../pack/manifest.ts";
export {
  generateSigningKeys,
  publicKeyOf,
  type SigningKeys,
  signManifest,
} from "../pack/signature.ts";
export {
  type Channel,
  type ChannelListener,
  channelPair,
  type Message,
} from "../remote/channel.ts";
export type { EnginePeer } from "../remote/peers.ts";
export {
  openRemoteEngine,
  type RemoteEngine,
  type RemoteEngineOptions,
} from "../remote/remote-engine.ts";
export { type EngineHost, type EngineTurn, serveEngine } from "../remote/serve-engine.ts";
export { type WebSocketLike, webSocketChannel } from "../remote/web-socket-channel.ts";
export type { ByteSource, SourceFolder } from "../sources/source.ts";
export type { ChatMessage, ChatTemplate, RenderOptions } from "../templates/chat-template.ts";
export type { Tokenizer } from "../tokenizers/tokenizer.ts";
export * from "./adapters.ts";
export * from "./checkpoints.ts";
export * from "./generation.ts";
export * from "./pipelines.ts";
export * from "./tokenizers.ts";
