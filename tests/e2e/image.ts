/**
 * Carries out the repository's Dockerfile without a container engine: each stage is a folder, its steps are
 * the same commands, run by an unprivileged user. /home/node of the image is a folder in that of the stage;
 * everything else (PATH, /bin/sh) is the machine's, with the Node of the tests.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { findRuntime, packageRoot } from "../../src/cli/runtimes.ts";

const STEP_TIMEOUT_MS = 240_000;
const HOME = "/home/node";

interface Step {
  readonly name: string;
  /** Behind the name and its flags. */
  readonly text: string;
  readonly flags: Readonly<Record<string, string>>;
}

interface Stage {
  readonly from: string;
  readonly name: string;
  readonly steps: readonly Step[];
}

export interface Image {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly health: readonly string[];
  readonly workdir: string;
}

export interface User {
  readonly uid: number;
  readonly gid: number;
}

export class Builder {
  readonly #root: string;
  readonly #user: User;
  readonly #images = new Map<string, Image>();

  /** @param root an empty folder. @param user who owns nothing yet. */
  constructor(root: string, user: User) {
    this.#root = root;
    this.#user = user;
    // node:26-slim: Node, npm, and a user with a home.
    const bin = join(root, "bin");
    mkdirSync(bin);
    cpSync(findRuntime("node"), join(bin, "node"));
    const npm = execFileSync("sh", ["-c", 'readlink -f "$(command -v npm)"'], { encoding: "utf8" });
    symlinkSync(npm.trim(), join(bin, "npm"));
    chmodSync(root, 0o755);
  }

  /** @param args of the build, as --build-arg gives them. */
  build(args: Readonly<Record<string, string>>): Image {
    const stages = parseStages(readFileSync(join(packageRoot(), "Dockerfile"), "utf8"));
    let last: Image | undefined;
    for (const stage of stages) {
      last = this.#stage(stage, args);
      this.#images.set(stage.name, last);
    }
    if (last === undefined) throw new Error("Dockerfile: no stage");
    return last;
  }

  /** Starts the image's process: with another command and more variables, as `docker run` takes them. */
  start(
    image: Image,
    command: readonly string[] = image.command,
    env: Record<string, string> = {},
  ): ChildProcess {
    const [program = "", ...rest] = [...image.entrypoint, ...command];
    return spawn(program, rest, {
      ...this.#options(image, env),
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  /** The exit code of its health check. */
  checkHealth(image: Image, env: Record<string, string> = {}): number | null {
    const [program = "", ...rest] = image.health;
    return spawnSync(program, rest, { ...this.#options(image, env), timeout: 30_000 }).status;
  }

  #stage({ from, name, steps }: Stage, args: Readonly<Record<string, string>>): Image {
    const folder = join(this.#root, name);
    const base = this.#images.get(from);
    if (base === undefined) {
      if (!from.startsWith("node:")) throw new Error(`FROM ${from}: not the Node that is here`);
      mkdirSync(join(folder, HOME), { recursive: true });
      chownSync(join(folder, HOME), this.#user.uid, this.#user.gid);
    } else {
      execFileSync("cp", ["-a", base.folder, folder]);
    }
    const moved = (text: string): string =>
      base === undefined ? text : text.replaceAll(base.folder, folder);
    const env: Record<string, string> = Object.fromEntries(
      Object.entries(base?.env ?? {}).map(([key, value]) => [key, moved(value)]),
    );
    let image: Image = {
      folder,
      env,
      entrypoint: base?.entrypoint.map(moved) ?? [],
      command: base?.command.map(moved) ?? [],
      health: base?.health ?? [],
      workdir: moved(base?.workdir ?? folder),
    };
    let user = base === undefined ? "root" : "node";
    const given: Record<string, string> = {};
    const inside = (text: string): string => text.replaceAll(HOME, join(folder, HOME));
    for (const step of steps) {
      const text = inside(step.text);
      switch (step.name) {
        case "USER":
          user = text;
          break;
        case "WORKDIR":
          if (!existsSync(text)) throw new Error(`${step.text}: would be root's`);
          image = { ...image, workdir: text };
          break;
        case "ENV":
          for (const [, key = "", value = ""] of text.matchAll(/(\w+)=(\S*)/g)) env[key] = value;
          break;
        case "ARG": {
          const [key = "", value = ""] = text.split("=");
          given[key] = args[key] ?? value;
          break;
        }
        case "COPY":
          this.#copy(step, image, inside);
          break;
        case "RUN":
          if (user !== "node") throw new Error(`RUN ${step.text}: as ${user}`);
          execFileSync("/bin/sh", ["-c", text], {
            ...this.#options(image, given),
            stdio: ["ignore", "ignore", "pipe"], // what it says is in the error
            timeout: STEP_TIMEOUT_MS,
          });
          break;
        case "HEALTHCHECK":
          image = { ...image, health: JSON.parse(text.replace(/^CMD\s+/, "")) };
          break;
        case "ENTRYPOINT":
          image = { ...image, entrypoint: JSON.parse(text) };
          break;
        case "CMD":
          image = { ...image, command: JSON.parse(text) };
          break;
        case "EXPOSE":
          break;
        default:
          throw new Error(`${step.name}: unknown here`);
      }
    }
    if (user !== "node") throw new Error(`${name}: runs as ${user}`);
    return image;
  }

  #copy({ text, flags }: Step, image: Image, inside: (text: string) => string): void {
    const paths = text.split(/\s+/);
    const target = paths.pop() ?? "";
    const source = flags.from === undefined ? undefined : this.#images.get(flags.from);
    for (const path of paths) {
      const from =
        source === undefined
          ? join(packageRoot(), allowed(path))
          : path.replaceAll(HOME, join(source.folder, HOME));
      const to = resolve(image.workdir, inside(target));
      const isFolder = statSync(from).isDirectory();
      const place = target.endsWith("/") && !isFolder ? join(to, basename(path)) : to;
      mkdirSync(dirname(place), { recursive: true });
      execFileSync("cp", ["-r", ...(isFolder ? [`${from}/.`, mkdir(place)] : [from, place])]);
      const owner = flags.chown === "node" ? `${this.#user.uid}:${this.#user.gid}` : "0:0";
      execFileSync("chown", ["-R", owner, flags.chown === undefined ? place : to]);
      execFileSync("chmod", ["-R", "a+rX", place]);
    }
  }

  /** Of a process in the image: its user, folder and variables, and of the machine what reaches the network. */
  #options(image: Image, more: Readonly<Record<string, string>>) {
    const machine = Object.entries(process.env).filter(([name]) =>
      /^(?:https?_proxy|no_proxy|node_extra_ca_certs|ssl_cert_file|hf_endpoint)$/i.test(name),
    );
    return {
      cwd: image.workdir,
      uid: this.#user.uid,
      gid: this.#user.gid,
      env: {
        ...Object.fromEntries(machine),
        ...npmSettings(),
        PATH: `${join(this.#root, "bin")}:/usr/local/bin:/usr/bin:/bin`,
        HOME: join(image.folder, HOME),
        ...image.env,
        ...more,
      },
    };
  }
}

/** Instructions with continued lines joined, stage by stage. */
export function parseStages(text: string): Stage[] {
  const stages: { from: string; name: string; steps: Step[] }[] = [];
  const lines = text
    .split("\n")
    .filter((line) => !/^\s*(?:#|$)/.test(line))
    .join("\n")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n");
  for (const line of lines) {
    const [, name = "", rest = ""] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    if (name === "FROM") {
      const [, from = "", as = ""] = /^(\S+) AS (\S+)$/.exec(rest) ?? [];
      stages.push({ from, name: as, steps: [] });
      continue;
    }
    const flags: Record<string, string> = {};
    const plain = rest.replaceAll(/^(?:--[\w-]+=\S+\s+)+/g, (found) => {
      for (const [, flag = "", value = ""] of found.matchAll(/--([\w-]+)=(\S+)/g)) {
        flags[flag] = value;
      }
      return "";
    });
    stages.at(-1)?.steps.push({ name, text: plain, flags });
  }
  return stages;
}

/** What is copied reaches the builder. */
function allowed(path: string): string {
  const ignore = readFileSync(join(packageRoot(), ".dockerignore"), "utf8").split("\n");
  const [top] = path.split("/");
  if (!ignore.includes(`!${path}`) && !ignore.includes(`!${top}`)) {
    throw new Error(`COPY ${path}: .dockerignore leaves it out`);
  }
  return path;
}

function mkdir(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}

/** Where npm installs from on this machine, which the file of another user says. */
function npmSettings(): Record<string, string> {
  const read = (key: string): string =>
    execFileSync("npm", ["config", "get", key], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  const settings = ["registry", "cafile"].map((key) => [`npm_config_${key}`, read(key)] as const);
  return Object.fromEntries(settings.filter(([, value]) => value !== "" && value !== "null"));
}
