// In wrangler's place where a test has no account: notes what it is asked, gives the real wrangler what that can do on this
// machine (bundles; R2, by its simulator) and says of a deployment what the real one says.
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdirSync, rmdirSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

const { STAND_IN_LOG, STAND_IN_STATE, STAND_IN_URL, STAND_IN_FOR } = process.env;
const args = process.argv.slice(2);
appendFileSync(STAND_IN_LOG, `${JSON.stringify(args)}\n`);

const at = args.indexOf("--remote");
if (at !== -1) args.splice(at, 1, "--local", "--persist-to", STAND_IN_STATE);
const isDeployment = args[0] === "deploy" && !args.includes("--dry-run");
if (args[1] === "bucket" || ["login", "secret"].includes(args[0])) process.exit(0);
if (isDeployment) args.push("--dry-run");
// An account takes objects side by side, which its simulator does not: two have its database locked.
const lock = at === -1 ? undefined : `${STAND_IN_LOG}.lock`;
if (lock !== undefined) await locked(lock);
const { status } = spawnSync(process.execPath, [STAND_IN_FOR, ...args], { stdio: "inherit" });
if (lock !== undefined) rmdirSync(lock);
if (isDeployment && status === 0) console.log(`Deployed triggers (0.50 sec)\n  ${STAND_IN_URL}`);
process.exitCode = status ?? 1;

async function locked(folder) {
  for (;;) {
    try {
      return mkdirSync(folder);
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      await setTimeout(50);
    }
  }
}
