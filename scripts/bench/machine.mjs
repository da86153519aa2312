// The machine, and one core of it.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";

/**
 * What figures depend on: `{ cpu, cores, memory_gb, system, avx_vnni }`; the last is null where the
 * system does not say whether the CPU has those int8 dot products.
 */
export function describeMachine() {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() || process.arch,
    cores: all.length,
    memory_gb: Math.round(totalmem() / 1e9),
    system: `${type()} ${release()}`,
    avx_vnni: hasFlag("avx_vnni"),
  };
}

function hasFlag(name) {
  try {
    const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "latin1"))?.[1];
    return flags === undefined ? null : flags.split(" ").includes(name);
  } catch {
    return null;
  }
}

/**
 * The core to pin to: the one asked for, else the last that this process may use, since the first
 * has the interrupts. undefined where taskset is not there or does not give it.
 */
export function pinnedCore(asked) {
  const core = asked ?? lastAllowedCore();
  const { status } = spawnSync("taskset", ["-c", core, "true"], { stdio: "ignore" });
  if (status === 0) return Number(core);
  return undefined;
}

function lastAllowedCore() {
  try {
    const status = readFileSync("/proc/self/status", "latin1");
    return /^Cpus_allowed_list:.*?(\d+)$/m.exec(status)?.[1] ?? "0";
  } catch {
    return "0";
  }
}
