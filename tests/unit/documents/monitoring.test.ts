/** docs/guides/monitoring.md asks for series that there are. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { createApp } from "../../../src/server/app.ts";
import { CHAT, chat, post } from "../server/client.ts";
import { createToy } from "../server/toy-engine.ts";

const guide = readFileSync("docs/guides/monitoring.md", "utf8");

test("every series that it names is exported, with the labels that it filters by", async () => {
  const app = createApp({ engine: createToy().engine, auth: { keys: ["key"] } });
  const headers = { "x-api-key": "key" };
  await post(app, CHAT, chat(), { headers });
  const metrics = await (await app.request("/metrics", { headers })).text();

  const named = [...new Set(guide.match(/\bpronk_\w+/g))];
  expect(named.length).toBeGreaterThan(9);
  for (const name of named) expect(metrics).toMatch(new RegExp(`^${name}[{ ]`, "m"));
  for (const [, name, label] of guide.matchAll(/\b(pronk_\w+)\{(\w+)[=~]/g)) {
    expect(metrics).toMatch(new RegExp(`^${name}\\{[^}]*\\b${label}="`, "m"));
  }
});

test("its rules are YAML as Prometheus reads it", () => {
  const [, text = ""] = /```yaml\n([\s\S]*?)```/.exec(guide) ?? [];
  const { groups } = parse(text);
  expect(groups).toHaveLength(1);
  for (const rule of groups[0].rules) {
    expect(rule).toEqual({
      alert: expect.stringMatching(/^Pronk[A-Z]\w+$/),
      expr: expect.stringContaining("pronk_"),
      for: expect.stringMatching(/^\d+m$/),
    });
  }
});
