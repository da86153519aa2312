// transformers.js: onnxruntime, native in Node and as WebAssembly in headless Chromium.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pageContender } from "../browser/page-contender.mjs";
import { installPeer } from "../install-peer.mjs";
import { makeOnnx } from "./transformers-js/make-onnx.mjs";

const VERSION = "4.3.1";

/** Its image library, which it imports whether there are images or not, and that one's own. */
const SHARP = "0.35.5";
const LIBVIPS = "1.3.4";

/** What the files hold; a browser's default is q8. */
const WEIGHTS = {
  q8: "8-bit ONNX made of the file, one scale a matrix, f32 cache",
  q4: "4-bit ONNX made of the file, blocks of 32, f32 embeddings and cache",
  fp32: "ONNX of the file in f32",
};

/** Its WebAssembly unpacks q4 anew for every token: 40 s a repetition. */
const SLOW_REPS = 1;

export function contenders(setting) {
  const { native, page } = installed(setting);
  return [native("q8"), native("q4"), page("q8"), page("q4", SLOW_REPS)];
}

/** Quantized a second time, its answers differ; the graph itself has to give ours. */
export function checks(setting) {
  return [installed(setting).native("fp32")];
}

function installed({ root, model, manifest, chatIds, reps }) {
  const folder = installPeer(root, "transformers-js", {
    "@huggingface/transformers": VERSION,
    ...sharpPackages(),
  });
  const onnx = makeOnnx(folder, model);
  const modules = join(folder, "node_modules");
  const eos = manifest.generation_config.eos_token_id;
  const head = { peer: "transformers-js", version: VERSION };

  const native = (dtype) => {
    const setting = JSON.stringify({
      library: join(modules, "@huggingface", "transformers", "dist", "transformers.node.mjs"),
      model: onnx,
      dtype,
      chatIds,
      eos,
    });
    const child = fileURLToPath(new URL("./transformers-js/child.mjs", import.meta.url));
    return {
      name: "transformers.js",
      format: dtype,
      ...head,
      runtime: `Node ${process.versions.node}, onnxruntime-node`,
      weights: WEIGHTS[dtype],
      program: process.execPath,
      args: [child, setting, "measure", `${reps}`],
      greedyArgs: [child, setting, "greedy"],
    };
  };
  const page = (dtype, most = reps) =>
    pageContender(
      {
        name: "transformers.js in Chromium",
        format: dtype,
        ...head,
        weights: most < reps ? `${WEIGHTS[dtype]}, one repetition a round` : WEIGHTS[dtype],
      },
      {
        root,
        reps: Math.min(reps, most),
        chat: { ids: chatIds },
        page: fileURLToPath(new URL("./transformers-js/", import.meta.url)),
        mounts: {
          "/transformers/": join(modules, "@huggingface", "transformers", "dist"),
          "/onnxruntime/": join(modules, "onnxruntime-web", "dist"),
          "/model/": onnx,
        },
        options: { model: "model", dtype, eos },
      },
    );
  return { native, page };
}

/** Packages of their own, which npm would take for optional. */
function sharpPackages() {
  const system = `${process.platform}-${process.arch}`;
  return {
    sharp: SHARP,
    [`@img/sharp-${system}`]: SHARP,
    [`@img/sharp-libvips-${system}`]: LIBVIPS,
  };
}
