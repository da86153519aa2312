// The Worker of workers/cloudflare.ts on wrangler dev, with SmolLM2 in wrangler's local R2.
//
//   npm run dev [-- wrangler's arguments]      PORT changes the port, default 8787
//
// Needs the build (npm ci makes it). The first run pulls and packs the model; later ones do not.
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { getPlatformProxy } from "wrangler";
import { packObjects } from "../dist/src/cli/workerd.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const pack = join(root, ".cache", "dev", "pack");
const pronk = join(root, "dist", "src", "cli", "main.js");
const model = process.env.PRONK_MODEL || "smollm2-135m-instruct";
execFileSync(process.execPath, [pronk, "pack", model, "--budget", "128MB", "--out", pack], {
  cwd: root,
  stdio: ["ignore", "ignore", "inherit"],
});

// Sends nothing anywhere, and asks nobody where this machine is.
process.env.WRANGLER_SEND_METRICS = "false";
process.env.CLOUDFLARE_CF_FETCH_ENABLED = "false";

const { env, dispose } = await getPlatformProxy({ configPath: join(root, "wrangler.toml") });
for (const name of await packObjects(pack)) {
  const key = `${env.PACK}/${name}`;
  // Shards are named by their hash: one that is there is the same. The manifest may have changed.
  if (name.endsWith(".bin") && (await env.MODELS.head(key))) continue;
  await env.MODELS.put(key, new Uint8Array(readFileSync(join(pack, name))));
}
await dispose();

const wrangler = dirname(createRequire(import.meta.url).resolve("wrangler/package.json"));
const child = spawn(
  process.execPath,
  [
    join(wrangler, "bin", "wrangler.js"),
    "dev",
    "--port",
    process.env.PORT || "8787",
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: "inherit" },
);
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code) => {
  process.exitCode = code ?? 1;
});
