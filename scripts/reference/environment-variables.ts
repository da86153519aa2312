/** Every environment variable that the command, the library on Node, Deno and Bun, and workers/ read. */

export interface EnvironmentVariable {
  readonly name: string;
  readonly what: string;
  /** What holds without it. */
  readonly absent?: string;
}

export const ENVIRONMENT_VARIABLES: Readonly<Record<string, readonly EnvironmentVariable[]>> = {
  "The command": [
    {
      name: "PRONK_MODEL",
      what: "the model where none is named",
      absent: "`smollm2-135m-instruct`",
    },
    { name: "HOST", what: "the address that servers listen on", absent: "`127.0.0.1`" },
    { name: "PORT", what: "their port", absent: "`8787`" },
    {
      name: "PRONK_API_KEYS",
      what: "keys of a server, separated by commas, or JSON with limits",
      absent: "everybody is let in",
    },
    {
      name: "PRONK_API_KEY",
      what: "the key that `pronk deploy` asks the live Worker with",
      absent: "it asks without",
    },
    {
      name: "PRONK_UPSTREAM",
      what: "the replicas' URL of `pronk front`",
      absent: "it has to be named",
    },
    {
      name: "PRONK_STAGE_KEY",
      what: "the key that stages ask for and their front gives",
      absent: "stages are open",
    },
    {
      name: "PRONK_PUBLIC_KEY",
      what: "whose signature a pack has to have, several with commas between; of a Worker, too",
      absent: "anybody's, or none",
    },
    { name: "USER", what: "your name in `pronk chat`", absent: "`USERNAME`, else `user`" },
    { name: "USERNAME", what: "the same, on Windows" },
    { name: "PATH", what: "where other runtimes and wrangler are looked for" },
    { name: "NO_COLOR", what: "not empty: no colours", absent: "colours on terminals" },
    { name: "FORCE_COLOR", what: "not empty and not `0`: colours in files and pipes, too" },
    { name: "TERM", what: "`dumb`: a terminal that has no colours" },
    {
      name: "COLUMNS",
      what: "characters of a line of the terminal",
      absent: "what it says itself, else 80",
    },
  ],
  "Models and caches": [
    {
      name: "PRONK_CACHE",
      what: "downloads and packs",
      absent: "`$XDG_CACHE_HOME/pronk`, else `~/.cache/pronk`",
    },
    {
      name: "XDG_CACHE_HOME",
      what: "where caches lie, by the XDG specification",
      absent: "`~/.cache`",
    },
    {
      name: "HF_TOKEN",
      what: "a token of Hugging Face; sent to the hub's own origin only, in no message",
      absent: "gated repositories are refused",
    },
    { name: "HF_ENDPOINT", what: "a mirror of the hub", absent: "`https://huggingface.co`" },
    {
      name: "HF_HUB_OFFLINE",
      what: "`1`: the hub is never asked, what is cached is taken",
      absent: "the hub is asked",
    },
    {
      name: "HF_HUB_CACHE",
      what: "Hugging Face's cache folder, read and written in its own layout",
      absent: "`$HF_HOME/hub`, else below `PRONK_CACHE`, else `~/.cache/huggingface/hub`",
    },
    { name: "HF_HOME", what: "the folder that holds it" },
    {
      name: "FAIRSEQ2_ASSET_DIR",
      what: "asset cards of the system",
      absent: "`/etc/fairseq2/assets`",
    },
    {
      name: "FAIRSEQ2_USER_ASSET_DIR",
      what: "asset cards of yours",
      absent: "`$XDG_CONFIG_HOME/fairseq2/assets`, else `~/.config/fairseq2/assets`",
    },
    {
      name: "XDG_CONFIG_HOME",
      what: "where settings lie, by the XDG specification",
      absent: "`~/.config`",
    },
    {
      name: "XDG_STATE_HOME",
      what: "where histories lie, by the XDG specification: `pronk chat` keeps what was typed in `pronk/chat-history`",
      absent: "`~/.local/state`",
    },
    { name: "HOME", what: "your folder, for those defaults" },
  ],
  "Buckets and proxies": [
    { name: "AWS_ACCESS_KEY_ID", what: "the key of `s3://` and of `pronk deploy --endpoint`" },
    { name: "AWS_SECRET_ACCESS_KEY", what: "its secret" },
    { name: "AWS_SESSION_TOKEN", what: "of keys that last for a while" },
    {
      name: "AWS_REGION",
      what: "the bucket's region",
      absent: "`AWS_DEFAULT_REGION`, else `auto` for R2 and `us-east-1`",
    },
    { name: "AWS_DEFAULT_REGION", what: "the same" },
    { name: "AWS_ENDPOINT_URL", what: "the storage's URL where it is not AWS" },
    { name: "AWS_ENDPOINT_URL_S3", what: "the same, before the other" },
    { name: "HTTPS_PROXY", what: "a proxy for what Node asks over https", absent: "none" },
    { name: "NO_PROXY", what: "hosts that it is not asked for, separated by commas" },
  ],
  "The servers of workers/": [
    {
      name: "MODEL",
      what: "the model of `workers/node.ts`, `deno.ts` and `bun.ts`",
      absent: "`smollm2-135m-instruct`",
    },
    {
      name: "DRAIN",
      what: "seconds that they give open answers when they are told to end",
      absent: "25",
    },
  ],
  "Bindings of a Worker": [
    { name: "MODELS", what: "the R2 bucket with the pack" },
    { name: "PACK", what: "the pack's name in it" },
    {
      name: "RELEASE",
      what: "the release of it that is live, which `pronk deploy` sets",
      absent: "the current one",
    },
    {
      name: "PRONK_QUOTA",
      what: "the Durable Object that counts limits of keys",
      absent: "each isolate counts for itself",
    },
    {
      name: "PRONK_RESPONSES",
      what: "where `/v1/responses` keeps answers: a Durable Object, an R2 bucket or a KV namespace",
      absent: "they are not kept",
    },
    { name: "PRONK_STAGE", what: "which part of the model a stage holds, as JSON" },
    { name: "ENGINES", what: "the Durable Objects with the model, of a front" },
    { name: "ENGINE_COUNT", what: "how many of them there are" },
    { name: "OBJECTS", what: "how many objects a front divides conversations among", absent: "1" },
  ],
};
