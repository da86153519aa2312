/**
 * Which tests cover which golden cases. A rule's `cases` picks names of cases in its folder; each of its tests has to
 * be there and pass. `each` counts tests in place of names, where titles are cut off by the runner.
 */
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const exactly = (text) => new RegExp(`${escaped(text)}(?![\\w/.])`);
const number = (id) => id.split(" ").at(-1);

const MODELS = "tests/parity/llama-models.test.ts";
const TOKENIZERS = "tests/parity/llama-tokenizers.test.ts";
const BACKENDS = ["reference", "wasm"];

/** `kind model name` to "model name". */
const named = (id) => id.slice(id.indexOf(" ") + 1);
const onBoth = (file, title) =>
  BACKENDS.map((backend) => ({ file, title: (id) => title(id, backend) }));

const inModels = (id, backend) => new RegExp(`^'${backend}' ${escaped(named(id))}$`);
const generated = (id, backend) => exactly(`'${named(id)}' on '${backend}'`);

/** Texts (0 is +0 in titles), pairs and batches of one tokenizer, whose tests begin with `title`. */
function tokenizer(cases, title) {
  const begins = `^${escaped(title)}.*`;
  return [
    {
      folder: "tokenizers",
      cases: new RegExp(`^${cases} text `),
      tests: [{ file: TOKENIZERS, title: (id) => new RegExp(`${begins}text \\+?${number(id)}$`) }],
    },
    {
      folder: "tokenizers",
      cases: new RegExp(`^${cases} pair `),
      tests: [{ file: TOKENIZERS, title: () => new RegExp(`${begins}pair of`), each: 1 }],
    },
    {
      folder: "tokenizers",
      cases: new RegExp(`^${cases} batch `),
      tests: [{ file: TOKENIZERS, title: (id) => new RegExp(`${begins}batch ${number(id)}$`) }],
    },
  ];
}

const chats = (cases, title) => ({
  folder: "tokenizers",
  cases: new RegExp(`^${cases} chat `),
  tests: [
    { file: TOKENIZERS, title: (id) => new RegExp(`^${escaped(title)} chat ${number(id)}$`) },
  ],
});

const LLAMA2 = "slow_legacy slow slow_noprefix slow_bos_eos slow_none slow_spaces_between";
const LLAMA2_FAST = "fast_legacy fast fast_bos_eos fast_none fast_noprefix fast_ctor_default";
const REAL = "SmolLM2 (needs PRONK_TEST_MODEL, the path of its GGUF file)";

export const COVERAGE = [
  {
    folder: "models",
    cases: /^(?:forward|incremental|loss|seqcls|error|qa|tokcls) /,
    tests: onBoth(MODELS, inModels),
  },
  {
    folder: "models",
    cases: /^(?:LlamaModel|cache) /,
    tests: onBoth(MODELS, (_, backend) => new RegExp(`^'${backend}' gqa base_model and cache$`)),
  },
  {
    folder: "models",
    cases: /^(?:generate|sample_dist) /,
    tests: onBoth("tests/parity/generate.test.ts", generated),
  },
  {
    folder: "models",
    cases: /^forward_bf16 /,
    tests: onBoth("tests/parity/bf16.test.ts", (_, backend) =>
      exactly(`on '${backend}' dtype auto`),
    ),
  },
  {
    folder: "rope",
    cases: /./,
    tests: [
      {
        file: "tests/unit/model/rope.test.ts",
        title: () => /frequencies, factor and last angles of transformers$/,
        each: 1,
      },
    ],
  },
  {
    folder: "processors",
    cases: /^case /,
    tests: [
      {
        file: "tests/unit/generate/logits-processors.test.ts",
        title: () => /^equals Hugging Face '/,
        each: 1,
      },
    ],
  },
  {
    folder: "processors",
    cases: /^error /,
    tests: [
      {
        file: "tests/unit/generate/logits-processors.test.ts",
        title: () => /^equals Hugging Face refuses /,
        each: 1,
      },
    ],
  },
  {
    folder: "processors",
    cases: /^openai /,
    tests: [
      { file: "tests/unit/generate/processors.test.ts", title: () => /presence|OpenAI/, each: 1 },
    ],
  },
  {
    folder: "processors",
    cases: /^stopping /,
    tests: [
      {
        file: "tests/unit/llama/generation/stopping-criteria.test.ts",
        title: (id) => exactly(`equals Hugging Face: '${named(id)}'`),
      },
    ],
  },
  {
    folder: "meta",
    cases: /./,
    tests: ["has the tensors", "gives the logits", "has the fields"].map((what) => ({
      file: "tests/parity/checkpoint-kinds.test.ts",
      title: (id) => new RegExp(`^meta/${id} ${what}`),
    })),
  },
  {
    folder: "checkpoints",
    cases: /./,
    tests: ["has the tensors", "gives the logits", "has the fields"].map((what) => ({
      file: "tests/parity/checkpoint-kinds.test.ts",
      title: (id) => new RegExp(`^checkpoints/${id} ${what}`),
    })),
  },
  {
    folder: "lora",
    cases: /./,
    tests: onBoth(
      "tests/parity/lora.test.ts",
      (id, backend) => new RegExp(`^${backend}[\\w ]* ${id} gives`),
    ),
  },
  ...LLAMA2.split(" ").flatMap((name) =>
    tokenizer(`llama2 ${name}`, `Llama 2 ${name} from tokenizer.model `),
  ),
  ...LLAMA2_FAST.split(" ").flatMap((name) =>
    tokenizer(`llama2 ${name}`, `Llama 2 ${name} from tokenizer.model `),
  ),
  ...tokenizer("llama3", "Llama 3 "),
  ...tokenizer("smollm2", `${REAL} `),
  chats("llama2 llama2", "Llama 2 chats, llama2"),
  chats("llama2 llama2_default_system", "Llama 2 chats, llama2_default_system"),
  chats("llama3 fairseq2", "Llama 3 chats, fairseq2"),
  chats("llama3 llama3_simple", "Llama 3 chats, llama3_simple"),
  chats("smollm2", REAL),
  {
    folder: "tokenizers",
    cases: /^sentencepiece /,
    tests: [
      {
        file: "tests/parity/tokenizers-goldens.test.ts",
        title: () => /^Llama 2 \(SentencePiece\) SentencePiece itself/,
      },
    ],
  },
  {
    folder: "tokenizers",
    cases: /^tiktoken /,
    tests: [
      { file: TOKENIZERS, title: () => /^Llama 3 tiktoken, from its own file$/ },
      {
        file: "tests/parity/tokenizers-goldens.test.ts",
        title: () => /^Llama 3 \(byte-level BPE\) tiktoken, with special tokens/,
      },
    ],
  },
  {
    folder: "tokenizers",
    cases: /^(?:update_post_processor|add_pad)/,
    tests: [{ file: TOKENIZERS, title: (id) => exactly(`Llama 2 ${id.split(" ")[0]}`) }],
  },
  {
    folder: "real",
    cases: /^chat /,
    tests: [
      {
        file: "tests/parity/smollm2-goldens.test.ts",
        title: (id) => new RegExp(`chat ${number(id)}$`),
      },
    ],
  },
  {
    folder: "real",
    cases: /^perplexity$/,
    tests: [
      {
        file: "tests/parity/smollm2.test.ts",
        title: () => /source weights in f32: next-token distributions, choices and perplexity/,
      },
      {
        file: "tests/parity/smollm2-scores.test.ts",
        title: () => /scores a text's tokens as transformers does/,
      },
    ],
  },
  {
    folder: "real",
    cases: /^stop_strings /,
    tests: [
      {
        file: "tests/parity/generate-smollm2.test.ts",
        title: () => /^SmolLM2 .* until /,
        each: 1,
      },
      {
        file: "tests/parity/pipeline-smollm2.test.ts",
        title: (id) => new RegExp(`^SmolLM2's pipeline ${id}:`),
      },
    ],
  },
  {
    folder: "real",
    cases: /^pipeline /,
    tests: [
      {
        file: "tests/parity/pipeline-smollm2.test.ts",
        title: (id) => new RegExp(`^SmolLM2's pipeline ${id}:`),
      },
    ],
  },
  {
    folder: "gguf",
    cases: /^(?:F32|F16|BF16|Q\w+|IQ4_\w+|MIX_\w+)$/,
    tests: [
      {
        file: "tests/parity/gguf-dequantize.test.ts",
        title: (id) => new RegExp(`^${id}\\.gguf has the golden's tensors`),
      },
      {
        file: "tests/parity/gguf-logits.test.ts",
        title: (id) => new RegExp(`^reference, .* ${id} gives`),
      },
      {
        file: "tests/parity/gguf-logits.test.ts",
        title: (id) => new RegExp(`^wasm .* ${id} gives`),
      },
    ],
  },
  {
    folder: "gguf",
    cases: /^(?:IQ[123]_\w+|TQ\w+|MXFP4)$/,
    refused: true,
    tests: [
      { file: "tests/parity/gguf-refused.test.ts", title: (id) => new RegExp(`^'?${id}'?$`) },
    ],
  },
  {
    folder: "gguf",
    cases: /^tok_sp$/,
    tests: ["ids, with special", "offsets", "decoded texts"].map((what) => ({
      file: "tests/parity/tokenizers-goldens.test.ts",
      title: () => new RegExp(`^Llama 2 \\(SentencePiece\\) ${what}`),
    })),
  },
  {
    folder: "gguf",
    cases: /^tok_bpe$/,
    tests: ["ids, with special", "offsets", "decoded texts"].map((what) => ({
      file: "tests/parity/tokenizers-goldens.test.ts",
      title: () => new RegExp(`^Llama 3 \\(byte-level BPE\\) ${what}`),
    })),
  },
  {
    folder: "fairseq2",
    cases: /^arch /,
    tests: [
      {
        file: "tests/unit/llama/config-dialects.test.ts",
        title: (id) => exactly(`architecture ${named(id)}`),
      },
    ],
  },
  {
    folder: "fairseq2",
    cases: /^card /,
    tests: [
      {
        file: "tests/unit/hub/llama-hubs.test.ts",
        title: (id) => exactly(`the card '${named(id)}' has fairseq2's base and fields`),
      },
      {
        file: "tests/unit/hub/llama-hubs.test.ts",
        title: (id) => exactly(`the card '${named(id)}' resolves`),
      },
    ],
  },
  {
    folder: "fairseq2",
    cases: /^defaults$/,
    tests: [
      {
        file: "tests/unit/llama/config-dialects.test.ts",
        title: () => /LLaMAConfig\(\) has its defaults$/,
      },
    ],
  },
  {
    folder: "fairseq2",
    cases: /^(?:tokenizer_config_defaults|hg_key_map|shard_specs|chat_template)$/,
    tests: [
      {
        file: "tests/parity/fairseq2-registry.test.ts",
        title: (id) => new RegExp(`^${id}(?![\\w])`),
      },
    ],
  },
  {
    folder: "fairseq2",
    cases: /^tokenizer /,
    tests: [
      {
        file: "tests/parity/fairseq2-tokenizers.test.ts",
        title: (id) => new RegExp(`^'${named(id)}' `),
      },
    ],
  },
  {
    folder: "fairseq2",
    cases: /^fairseq2_forward /,
    tests: onBoth(
      "tests/parity/fairseq2-forward.test.ts",
      (id, backend) => new RegExp(`^on '${backend}' .*${escaped(named(id))}(?![\\w/.])`),
    ),
  },
  {
    folder: "fairseq2",
    cases: /^fairseq2_beam /,
    tests: onBoth("tests/parity/fairseq2-beam-search.test.ts", (id, backend) =>
      exactly(`on ${backend} '${named(id)}'`),
    ),
  },
  {
    folder: "legacy",
    cases: /^pretraining_tp2/,
    tests: [
      {
        file: "tests/parity/pretraining-tp.test.ts",
        title: (id) => exactly(`${id} gives the logits of the sliced layers`),
      },
    ],
  },
  {
    folder: "legacy",
    cases: /^(?:contrastive|group_beam|constrained|dola)/,
    refused: true,
    tests: [{ file: "tests/parity/generate-refused.test.ts", title: (id) => exactly(`'${id}'`) }],
  },
  {
    folder: "maskviz",
    cases: /./,
    tests: [
      {
        file: "tests/unit/llama/attention-mask-visualizer.test.ts",
        title: () => /is shown as transformers shows it$/,
        each: 1,
      },
    ],
  },
];
