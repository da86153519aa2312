/** docs/reference/metrics.md, from what `GET /metrics` answers. */

interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
}

/** @param text the exposition of an app that was asked something by a key, so that every family is there. */
export function metricsReference(text: string): string {
  const rows = familiesOf(text).map(
    ({ name, type, help, labels }) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`,
  );
  return `# Metrics

What \`GET /metrics\` answers, in Prometheus' text format ([who may ask, and what holds on Workers](../server.md#metrics-and-logs)).
Names that end in \`_total\` only grow; those of the engine are missing until the model is loaded.

| name | type | labels | what it counts |
|---|---|---|---|
${rows.join("\n")}
`;
}

function familiesOf(text: string): Family[] {
  const lines = text.split("\n");
  return lines.flatMap((line, i) => {
    const [, name, help = ""] = /^# HELP (\S+) (.*)$/.exec(line) ?? [];
    if (name === undefined) return [];
    const type = lines[i + 1]?.split(" ").at(-1) ?? "";
    const sample = lines[i + 2]?.match(/\{(.*)\}/)?.[1] ?? "";
    const labels = [...sample.matchAll(/(\w+)="/g)].map(([, label = ""]) => label);
    return [{ name, type, help, labels }];
  });
}
