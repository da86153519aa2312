import { execFileSync } from "node:child_process";
export function findToolchain() {
  const version = (command) =>
    execFileSync(command, ["--version"], { encoding: "utf8" }).split("\n")[0];
  return {
    compile: ["clang-19", "--target=wasm32"],
    link: [
      "wasm-ld-19",
      "--no-entry",
      "--strip-all",
      "-z",
      "stack-size=65536",
      "--stack-first",
      "--import-memory",
      "--export=__heap_base",
    ],
    versions: { clang: version("clang-19"), lld: version("wasm-ld-19") },
    env: {},
  };
}
