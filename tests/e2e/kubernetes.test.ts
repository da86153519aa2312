/** deploy/kubernetes.yaml: valid, and the topology that replicas.test.ts runs. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { commandLineOn } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { openDocument } from "../support/document-commands.ts";
import { parseStages } from "./image.ts";

const root = packageRoot();
const file = join(root, "deploy", "kubernetes.yaml");

/** The schemas that Kubernetes publishes, for several versions, with a validator. */
const VALIDATOR = "kubernetes-validate==1.37.0";
const VERSIONS = ["1.37", "1.36"];

// biome-ignore lint/suspicious/noExplicitAny: the schemas say what is where
type Resource = any;

const resources: Resource[] = parseAllDocuments(readFileSync(file, "utf8")).map((document) => {
  expect(document.errors).toEqual([]);
  return document.toJS();
});
const named = (kind: string, name: string): Resource => {
  const found = resources.filter((one) => one.kind === kind && one.metadata.name === name);
  expect(found).toHaveLength(1);
  return found[0];
};
const podOf = ({ spec }: Resource): Resource => spec.template.spec;
const containerOf = (workload: Resource): Resource => {
  expect(podOf(workload).containers).toHaveLength(1);
  return podOf(workload).containers[0];
};

test("it is valid by the schemas that Kubernetes publishes, and a field too many is not", () => {
  const page = openDocument("docs/deploy/kubernetes.md");
  expect(page.take("kubectl apply")).toBe("kubectl apply -f deploy/kubernetes.yaml");
  page.expectAllRan();
  const packages = join(root, ".cache", "kubernetes-validate");
  const options = { encoding: "utf8", timeout: 170_000 } as const;
  if (!existsSync(join(packages, "kubernetes_validate"))) {
    mkdirSync(packages, { recursive: true });
    const args = ["-m", "pip", "install", "-q", "--no-input", "--target", packages, VALIDATOR];
    execFileSync("python3", args, options);
  }
  const validate = (version: string, path: string) =>
    spawnSync("python3", ["-m", "kubernetes_validate", "--strict", "-k", version, path], {
      ...options,
      env: { ...process.env, PYTHONPATH: packages },
    });
  for (const version of VERSIONS) {
    const { status, stdout, stderr } = validate(version, file);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout.match(/ passed for resource /g)).toHaveLength(resources.length);
  }
  const wrong = join(packages, "wrong.yaml");
  writeFileSync(wrong, readFileSync(file, "utf8").replace("runAsGroup:", "runAsParty:"));
  const { status, stdout, stderr } = validate("1.37", wrong);
  expect(status).toBe(1);
  expect(stdout + stderr).toContain("runAsParty");
});

test("its nginx is that of the repository, but for addresses", () => {
  const config = named("ConfigMap", "pronk-nginx").data["nginx.conf"];
  const plain = (text: string): string =>
    text
      .replaceAll(/^#.*\n/gm, "")
      .replaceAll(/server (?:127\.0\.0\.1:\d+|pronk-\d:8787)/g, "server REPLICA")
      .replace(/listen \S+;/, "listen PORT;")
      .trim();
  expect(plain(config)).toBe(plain(readFileSync(join(root, "deploy", "nginx.conf"), "utf8")));
});

test("each replica has the Service that nginx names, and only its pod is behind it", () => {
  const set = named("StatefulSet", "pronk");
  const config: string = named("ConfigMap", "pronk-nginx").data["nginx.conf"];
  const servers = [...config.matchAll(/^ +server (\S+):(\d+) /gm)].map(([, host, port]) => [
    host,
    Number(port),
  ]);
  expect(servers).toHaveLength(set.spec.replicas);
  for (const [i, [host, port]] of servers.entries()) {
    const { spec } = named("Service", String(host));
    expect(spec.selector).toEqual({ "statefulset.kubernetes.io/pod-name": `pronk-${i}` });
    expect(spec.ports).toEqual([{ name: "http", port, targetPort: "http" }]);
  }
  named("Service", set.spec.serviceName);
});

test("Services and budgets select the pods that there are, by ports that they have", () => {
  const workloads = resources.filter(({ spec }) => spec?.template !== undefined);
  const fits = (labels: object, selector: object): boolean =>
    Object.entries(selector).every(([key, value]) => (labels as Resource)[key] === value);
  for (const { spec, kind } of resources.filter(({ kind }) => /Service|Budget/.test(kind))) {
    const selector = spec.selector.matchLabels ?? spec.selector;
    if (selector["statefulset.kubernetes.io/pod-name"] !== undefined) continue;
    const selected = workloads.filter((one) => fits(one.spec.template.metadata.labels, selector));
    expect(selected).toHaveLength(1);
    if (kind === "Service") {
      expect(containerOf(selected[0]).ports[0].name).toBe(spec.ports[0].targetPort);
    }
  }
  for (const { spec } of workloads) {
    expect(fits(spec.template.metadata.labels, spec.selector.matchLabels)).toBe(true);
  }
});

test("its containers run what the image has, as its user, and may write only where volumes are", () => {
  const env = parseStages(readFileSync(join(root, "Dockerfile"), "utf8"))
    .flatMap(({ steps }) => steps)
    .filter(({ name }) => name === "ENV")
    .map(({ text }) => text)
    .join(" ");
  const { program, args } = commandLineOn("node");
  for (const [kind, name] of [
    ["StatefulSet", "pronk"],
    ["Deployment", "pronk-front"],
  ] as const) {
    const workload = named(kind, name);
    const { args: given, ports, securityContext } = containerOf(workload);
    const help = execFileSync(program, [...args, given[0], "--help"], { encoding: "utf8" });
    for (const option of given.filter((arg: string) => arg.startsWith("--"))) {
      expect(help).toContain(`${option} `);
    }
    expect(env).toContain(`PORT=${ports[0].containerPort}`);
    expect(podOf(workload).securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    expect(securityContext.readOnlyRootFilesystem).toBe(true);
  }
  const [volume] = containerOf(named("StatefulSet", "pronk")).volumeMounts;
  expect(env).toContain(`PRONK_CACHE=${volume.mountPath}`);
  const [, upstream] = containerOf(named("Deployment", "pronk-front")).args;
  const { hostname, port } = new URL(upstream);
  expect(named("Service", hostname).spec.ports[0].port).toBe(Number(port));
});

test("a pod that stops has time for its streams", () => {
  const { program, args } = commandLineOn("node");
  const help = execFileSync(program, [...args, "serve", "--help"], { encoding: "utf8" });
  const drain = Number(/--drain.*default (\d+)/.exec(help)?.[1]);
  for (const workload of resources.filter(({ spec }) => spec?.template !== undefined)) {
    const [, pause = "0"] = containerOf(workload).lifecycle?.preStop.exec.command ?? [];
    const needed = drain + Number(pause) + 5;
    expect(podOf(workload).terminationGracePeriodSeconds).toBeGreaterThanOrEqual(needed);
  }
});
