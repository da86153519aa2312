/** A clone's package as npm would publish it: projects that are made by a clone depend on that. */
import { basename } from "node:path";
import { runChild } from "../child.ts";
import { packageRoot } from "../runtimes.ts";

/** Some 2 s; a slow disk takes longer. */
const TIMEOUT_MS = 60_000;

/**
 * @param folder where it is written.
 * @returns its file's name.
 * @throws PronkError "engine_failed" with what npm says.
 */
export async function packClone(folder: string, signal: AbortSignal): Promise<string> {
  const program = process.platform === "win32" ? "npm.cmd" : "npm";
  // What a clone has built is packed: building again takes longer than all the rest.
  const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
  const options = { cwd: packageRoot(), signal, timeoutMs: TIMEOUT_MS, label: "npm pack" };
  const said = await runChild({ program, args }, [], options);
  const [{ filename }] = JSON.parse(said.slice(said.indexOf("[")));
  return basename(filename);
}
