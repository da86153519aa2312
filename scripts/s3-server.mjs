// Finds or installs a real S3 server for the tests: versitygw, which checks signatures, where there is Go; else moto,
// which does not, by pip. Into .cache; a second run does nothing.
//
//   node scripts/s3-server.mjs          one JSON document: {"kind","program","args","env"}; PORT and DIR stand in args
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0";
const MOTO = "moto[server,s3]==5.2.5";
const STEP_TIMEOUT_MS = 280_000;

const cache = fileURLToPath(new URL("../.cache/s3-server", import.meta.url));
mkdirSync(cache, { recursive: true });

const onPath = (name) =>
  (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));

const install = (program, args, env) =>
  execFileSync(program, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "inherit"],
    timeout: STEP_TIMEOUT_MS,
  });

function versitygw() {
  const installed = join(cache, "versitygw");
  let program = onPath("versitygw") ?? (existsSync(installed) ? installed : undefined);
  if (!program && onPath("go")) {
    install("go", ["install", VERSITYGW], { GOBIN: cache });
    program = installed;
  }
  if (!program) return undefined;
  const keys = ["--access", "key", "--secret", "secret-key"];
  const listen = ["--port", "127.0.0.1:PORT", "--region", "us-east-1"];
  return { kind: "versitygw", program, args: [...keys, ...listen, "posix", "DIR"], env: {} };
}

function moto() {
  const packages = join(cache, "moto");
  if (!existsSync(join(packages, "moto"))) {
    const options = ["-q", "--disable-pip-version-check", "--target", packages];
    install("python3", ["-m", "pip", "install", ...options, MOTO]);
  }
  const args = ["-m", "moto.server", "-H", "127.0.0.1", "-p", "PORT"];
  return { kind: "moto", program: "python3", args, env: { PYTHONPATH: packages } };
}

let found;
try {
  found = versitygw();
} catch (error) {
  console.error(`versitygw: ${error.message.split("\n")[0]}`);
}
console.log(JSON.stringify(found ?? moto()));
