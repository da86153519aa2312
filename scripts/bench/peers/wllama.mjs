// llama.cpp as WebAssembly: wllama in headless Chromium, one thread, no GPU.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pageContender, textOf } from "../browser/page-contender.mjs";
import { installPeer } from "../install-peer.mjs";

const VERSION = "3.8.1";

/** A repetition takes 40 s. */
const MAX_REPS = 1;

export function contenders({ root, model, pack, chatIds, reps }) {
  const folder = installPeer(root, "wllama", { "@wllama/wllama": VERSION });
  return [
    pageContender(
      {
        name: "wllama in Chromium",
        peer: "wllama",
        version: VERSION,
        weights: "the file as it is, f16 cache, one repetition a round",
      },
      {
        root,
        reps: Math.min(reps, MAX_REPS),
        chat: { ids: chatIds, text: textOf(root, pack, chatIds) },
        page: fileURLToPath(new URL("./wllama/", import.meta.url)),
        mounts: {
          "/wllama/": join(folder, "node_modules", "@wllama", "wllama", "esm"),
          "/model.gguf": model,
        },
        options: { model: "/model.gguf" },
      },
    ),
  ];
}
