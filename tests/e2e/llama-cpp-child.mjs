// One greedy continuation by llama.cpp: node llama-cpp-child.mjs MODULE MODEL IDS COUNT [TEXTS], and
// the tokens of the texts in a JSON file.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [module, modelPath, ids, count, list] = process.argv.slice(2);
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(module));
const llama = await getLlama({
  build: "never",
  gpu: false,
  logLevel: LlamaLogLevel.error,
  progressLogs: false,
  maxThreads: 1,
});
const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
const context = await model.createContext({ contextSize: 64, threads: 1, flashAttention: false });
const sequence = context.getSequence();
const made = [];
const options = { temperature: 0, yieldEogToken: true };
for await (const token of sequence.evaluate(ids.split(",").map(Number), options)) {
  made.push(token);
  if (made.length === Number(count)) break;
}
const text = model.tokenize("Hello world, 1234 times!").map(Number);
const texts = list === undefined ? [] : JSON.parse(readFileSync(list, "utf8"));
const tokens = texts.map((text) => model.tokenize(text).map(Number));
// The library's threads would keep the process for a while.
process.stdout.write(JSON.stringify({ made, text, texts: tokens }), () => process.exit(0));
