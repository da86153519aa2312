/** pronk deploy: a model on Cloudflare Workers, planned, uploaded, deployed and asked. */
import { relative } from "node:path";
import { PronkError } from "../errors.ts";
import { flagOption, integerOption, textOption, UsageError } from "./arguments.ts";
import type { Arguments, CliContext, Command } from "./command.ts";
import type { Bucket } from "./deploy/bucket.ts";
import { bundleScripts, deployScripts, describeBundles } from "./deploy/deploy-scripts.ts";
import { type Measured, measurePack } from "./deploy/measure.ts";
import { bucketOf, DEFAULT_BUCKET, type Place, placeOf, stateFolder } from "./deploy/place.ts";
import { describePack, describePlan, planDeployment, short } from "./deploy/plan.ts";
import { fitPack, type PreparedPack, preparePack, settingsOf } from "./deploy/prepare-pack.ts";
import { estimatedCpu } from "./deploy/prices.ts";
import { scriptsOf, type WrittenScript, writeProject } from "./deploy/project.ts";
import { DEFAULT_KEPT, LEAST_KEPT, type Prune, planPrune, prune } from "./deploy/prune.ts";
import { rollBack } from "./deploy/releases.ts";
import { type SmokeResult, smokeTest } from "./deploy/smoke.ts";
import { readSettings, type WorkerSettings } from "./deploy/topology.ts";
import { type UploadResult, uploadPack } from "./deploy/upload.ts";
import { findWrangler, type Wrangler } from "./deploy/wrangler.ts";
import { JSON_OPTION, KV_OPTION, WEIGHT_OPTIONS } from "./model-options.ts";
import { createProgress, withActivity } from "./progress.ts";
import { PUBLIC_KEY_OPTION, publicKeysOf, SIGN_OPTION } from "./signing-options.ts";

export const deploy: Command = {
  name: "deploy",
  group: "Put it online",
  summary: "plan, upload and deploy a model on Cloudflare Workers",
  examples: [
    {
      line: "pronk deploy --dry-run",
      does: "what would be deployed: memory, isolates, price; sends nothing",
    },
    {
      line: "pronk deploy --local",
      does: "all of it on this machine, by wrangler's own R2 and workerd",
    },
    {
      line: "pronk deploy model.gguf --name my-llm",
      does: "pack, upload to R2, deploy, and ask it a question",
    },
    {
      line: "pronk deploy --name my-llm --rollback",
      does: "back to the release before",
    },
  ],
  positionals: "[MODEL]",
  maxPositionals: 1,
  options: {
    "dry-run": {
      type: "boolean",
      help: "plan, pack, write and bundle everything, send nothing; works offline",
    },
    local: { type: "boolean", help: "all of it on this machine: wrangler's local R2 and workerd" },
    rollback: { type: "boolean", help: "go back to the release before" },
    "upload-only": {
      type: "boolean",
      help: "fill the bucket, deploy no Worker; with --local: that of wrangler dev in this folder",
    },
    name: { type: "string", value: "NAME", help: "of the Worker; default: the model's" },
    bucket: { type: "string", value: "NAME", help: `of R2, default ${DEFAULT_BUCKET}` },
    prefix: {
      type: "string",
      value: "P",
      help: "of the pack in the bucket; default: the model's name",
    },
    endpoint: {
      type: "string",
      value: "URL",
      help: "upload by S3's API, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; default: by wrangler",
    },
    out: { type: "string", value: "DIR", help: "what is generated; default .pronk/NAME" },
    ctx: { type: "string", value: "N", help: "positions of a sequence; default 1024 at most" },
    slots: { type: "string", value: "N", help: "sequences at a time, default 1" },
    kv: KV_OPTION,
    topology: {
      type: "string",
      value: "T",
      help: "isolate|objects|stages: one Worker; a front and engine objects; parts; default: as it fits",
    },
    engines: {
      type: "string",
      value: "N",
      help: "of --topology objects: scripts of them, default 1",
    },
    ...WEIGHT_OPTIONS,
    ...SIGN_OPTION,
    ...PUBLIC_KEY_OPTION,
    url: {
      type: "string",
      value: "URL",
      help: "where the smoke test asks; default: what wrangler says",
    },
    keep: {
      type: "string",
      value: "N",
      help: `releases that stay in the bucket, the current one among them; default ${DEFAULT_KEPT}`,
    },
    "no-measure": {
      type: "boolean",
      help: "estimate the CPU of a token instead of running the model",
    },
    ...JSON_OPTION,
  },
  async run(input, cli): Promise<void> {
    checkFlags(input);
    const place = await placeOf(input, cli);
    const document = flagOption(input, "rollback")
      ? await goBack(input, cli, place)
      : await goForward(input, cli, place);
    if (flagOption(input, "json")) cli.out(`${JSON.stringify(document)}\n`);
  },
};

/** @throws UsageError */
function checkFlags(input: Arguments): void {
  const together = (a: string, b: string, why: string): void => {
    if (flagOption(input, a) && input.values[b] !== undefined) {
      throw new UsageError(`--${a} and --${b}: ${why}`);
    }
  };
  together("rollback", "dry-run", "which release is before is known from the bucket alone");
  if (input.values.engines !== undefined && input.values.topology !== "objects") {
    throw new UsageError("--engines is for --topology objects");
  }
  keptOption(input); // Before anything is packed or sent.
  together("local", "endpoint", "the one is this machine's R2, the other elsewhere");
}

async function goForward(input: Arguments, cli: CliContext, place: Place): Promise<object> {
  const wrangler = lazyWrangler();
  if (!flagOption(input, "upload-only")) wrangler(); // A missing tool is said before minutes of packing.
  const bucket = bucketOf(input, cli, place, wrangler);
  try {
    return await goOn(input, cli, place, bucket, wrangler);
  } finally {
    await bucket.close?.();
  }
}

async function goOn(
  input: Arguments,
  cli: CliContext,
  place: Place,
  bucket: Bucket,
  wrangler: () => Wrangler,
): Promise<object> {
  const { name, folder } = place;
  const say = sayer(input, cli);
  const uploadOnly = flagOption(input, "upload-only");
  const pack = await preparePack(input, cli, folder);
  const isDry = flagOption(input, "dry-run");
  if (uploadOnly) {
    say(describePack(pack, bucket.name));
    if (isDry) {
      const pruned = await pruneReleases(input, cli, bucket, pack);
      return { name, release: pack.release, ...pruned, dry_run: true };
    }
    const upload = await uploadWithProgress(pack, bucket, undefined, input, cli);
    return { name, upload, ...(await pruneReleases(input, cli, bucket)) };
  }
  const fitted = await fitPack(pack, input, cli.signal);
  const { settings, release } = fitted;
  const measured = flagOption(input, "no-measure")
    ? undefined
    : await withActivity(cli, "measuring what a token costs", () =>
        measurePack(pack.folder, settings, cli),
      );
  const cpu = measured?.cpu ?? estimatedCpu(fitted.manifest.weight_bytes);
  const plan = planDeployment(fitted, scriptsOf(name, settings), cpu, bucket.name);
  say(describePlan(plan));
  const { publicKeys } = pack;
  const scripts = await writeProject(folder, { ...place, release, settings, publicKeys });
  const bundles = await withActivity(cli, "bundling by wrangler", () =>
    bundleScripts(wrangler(), scripts, cli.signal),
  );
  say(describeBundles(bundles));
  const document = { name, folder, plan, bundles };
  if (isDry) {
    const pruned = await pruneReleases(input, cli, bucket, pack);
    say(`dry run  nothing was sent; ${shown(folder)} holds what would be\n`);
    return { ...document, ...pruned, dry_run: true };
  }
  const upload = await uploadWithProgress(pack, bucket, settings, input, cli);
  const live = await putLive(input, cli, wrangler(), place, scripts, settings, measured);
  // What is live has been asked and has answered.
  return { ...document, upload, ...live, ...(await pruneReleases(input, cli, bucket)) };
}

interface Pruned {
  readonly prune?: {
    readonly releases: readonly string[];
    readonly objects: number;
    readonly bytes: number;
  };
}

/**
 * Deletes old releases; with `next`, says what would go once that is current. A bucket that does not answer, or that a dry
 * run is not to ask, stops nothing: the next deployment does it.
 */
async function pruneReleases(
  input: Arguments,
  cli: CliContext,
  bucket: Bucket,
  next?: PreparedPack,
): Promise<Pruned> {
  const say = sayer(input, cli);
  const keep = keptOption(input);
  // Of the remote bucket wrangler knows nothing without the network.
  if (next && !isKnownOffline(input, cli)) return {};
  let plan: Prune;
  try {
    const { signal } = cli;
    plan = await planPrune(
      bucket,
      keep,
      signal,
      next && { checksum: next.release, manifest: next.manifest },
    );
    if (!next) plan = await prune(bucket, plan, signal);
  } catch (error) {
    if (!(error instanceof PronkError) || error.code === "aborted") throw error;
    say(`prune    not done: ${error.message}\n`);
    return {};
  }
  const { dropped, keys, bytes } = plan;
  const releases = dropped.map(({ checksum }) => checksum);
  if (releases.length === 0) return {};
  const which = `release${releases.length === 1 ? "" : "s"} ${releases.map(short).join(", ")}`;
  const size = `${keys.length} objects, ${(bytes / 1e6).toFixed(1)} MB`;
  say(`prune    ${which} ${next ? "would be" : "was"} deleted: ${size}\n`);
  return { prune: { releases, objects: keys.length, bytes } };
}

function isKnownOffline(input: Arguments, { env }: CliContext): boolean {
  if (flagOption(input, "local")) return true;
  const hasKeys = Boolean(env.AWS_ACCESS_KEY_ID && env.AWS_SECRET_ACCESS_KEY);
  return textOption(input, "endpoint") !== undefined && hasKeys;
}

/** @throws UsageError */
function keptOption(input: Arguments): number {
  return integerOption(input, "keep", LEAST_KEPT) ?? DEFAULT_KEPT;
}

async function goBack(input: Arguments, cli: CliContext, place: Place): Promise<object> {
  const { name, folder } = place;
  const say = sayer(input, cli);
  const uploadOnly = flagOption(input, "upload-only");
  const wrangler = lazyWrangler();
  if (!uploadOnly) wrangler();
  const bucket = bucketOf(input, cli, place, wrangler);
  const { from, to, bytes } = await rollBack(bucket, cli.signal).finally(() => bucket.close?.());
  say(`release  ${short(from)} -> ${short(to.checksum)}: ${to.name}, of ${to.at}\n`);
  const rollback = { from, to: to.checksum };
  if (uploadOnly) return { name, rollback };
  const settings = readSettings(to.settings) ?? (await settingsOf(bytes, input, cli.signal));
  const publicKeys = publicKeysOf(input, cli);
  const target = { ...place, release: to.checksum, settings, publicKeys };
  const scripts = await writeProject(folder, target);
  return { name, rollback, ...(await putLive(input, cli, wrangler(), place, scripts, settings)) };
}

/** From wrangler's "deployed" to a right answer. */
async function putLive(
  input: Arguments,
  cli: CliContext,
  wrangler: Wrangler,
  { name, folder }: Place,
  scripts: readonly WrittenScript[],
  { id: model }: WorkerSettings,
  measured?: Measured,
): Promise<{ url: string | undefined; smoke?: SmokeResult }> {
  const { fetch, signal, env } = cli;
  const say = sayer(input, cli);
  const ask = async (url: string): Promise<SmokeResult> => {
    const key = env.PRONK_API_KEY || undefined;
    const smoke = await withActivity(cli, "asking it a question", () =>
      smokeTest({ url, model, key, expected: measured?.answer, fetch, signal }),
    );
    say(describeSmoke(smoke));
    return smoke;
  };
  if (flagOption(input, "local")) {
    const more = devArguments(scripts, folder);
    const typed = devArguments(scripts, folder, shown).join(" ");
    const server = await withActivity(cli, "starting workerd by wrangler", () =>
      wrangler.dev([...more, "--port", "0", "--inspector-port", "0"], { cwd: folder, signal }),
    );
    try {
      const smoke = await ask(server.url);
      say(`serve    npx wrangler dev ${typed}\n`);
      return { url: undefined, smoke };
    } finally {
      await server.close();
    }
  }
  const said = await withActivity(cli, "deploying by wrangler", (pause) =>
    deployScripts(
      wrangler,
      scripts,
      (script) => {
        pause();
        say(`deployed ${script.name}\n`);
      },
      signal,
    ),
  );
  const url = (textOption(input, "url") ?? said)?.replace(/\/+$/, "");
  if (url === undefined) {
    say(`live     at the routes of ${name}; --url URL asks it a question there\n`);
    return { url };
  }
  const smoke = await ask(url);
  say(`live     ${url}\n`);
  if (!env.PRONK_API_KEY) {
    say("keys     anybody who knows the URL can use it; npx wrangler secret put PRONK_API_KEYS ");
    say(`--name ${name}\n`);
  }
  return { url, smoke };
}

function devArguments(
  scripts: readonly WrittenScript[],
  folder: string,
  path: (path: string) => string = (path) => path,
): string[] {
  // The first is the one that listens.
  const ordered = [...scripts].sort((a, b) => Number(b.isFront) - Number(a.isFront));
  const configs = ordered.flatMap(({ config }) => ["--config", path(config)]);
  return [...configs, "--persist-to", path(stateFolder(folder))];
}

/** As one would type it here. */
function shown(path: string): string {
  const found = relative(process.cwd(), path);
  return found.startsWith("..") ? path : found;
}

async function uploadWithProgress(
  { folder }: PreparedPack,
  bucket: Bucket,
  settings: WorkerSettings | undefined,
  input: Arguments,
  cli: CliContext,
): Promise<UploadResult> {
  const progress = createProgress(cli);
  let upload: UploadResult;
  try {
    upload = await uploadPack(folder, bucket, {
      signal: cli.signal,
      settings,
      onProgress: (report) => progress.report({ label: "uploading", ...report }),
    });
  } finally {
    progress.finish();
    await bucket.close?.(); // Whoever serves it is alone with it.
  }
  sayer(input, cli)(describeUpload(upload));
  return upload;
}

function describeUpload({ objects, sent, sentBytes, switched, release }: UploadResult): string {
  const there = objects - sent;
  const parts = [
    `${sent} of ${objects} objects sent (${(sentBytes / 1e6).toFixed(1)} MB)`,
    ...(there > 0 ? [`${there} were there`] : []),
    `release ${short(release)} ${switched ? "is current now" : "was current before"}`,
  ];
  return `upload   ${parts.join(", ")}\n`;
}

function describeSmoke({ prompt, answer, compared, readyMs, answerMs }: SmokeResult): string {
  const asked = `${JSON.stringify(prompt)} -> ${JSON.stringify(answer)}`;
  const same = compared ? ", the same as here" : "";
  return `smoke    ${asked}${same}; ready after ${readyMs} ms, answered in ${answerMs} ms\n`;
}

/** Said where people read; with --json stdout is one document. */
function sayer(input: Arguments, cli: CliContext): (text: string) => void {
  return flagOption(input, "json") ? () => undefined : (text) => cli.out(text);
}

function lazyWrangler(): () => Wrangler {
  let found: Wrangler | undefined;
  return () => {
    found ??= findWrangler(process.cwd());
    return found;
  };
}
