// What tests import from "vitest", for running them again and again in one thread: their bodies are kept, and each run of
// a mutant calls only those that reach it. The assertions are Vitest's own; what is not here, a test of these folders may not
// use, and says so by failing the dry run.
import { format } from "node:util";
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  customMatchers,
  GLOBAL_EXPECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  setState,
} from "@vitest/expect";
import { fn, restoreAllMocks, spyOn } from "@vitest/spy";
import * as chai from "chai";

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

export const expect = Object.assign(
  (value, message) => chai.expect(value, message),
  chai.expect,
  globalThis[ASYMMETRIC_MATCHERS_OBJECT],
  {
    unreachable: (message) => chai.assert.fail(`expected not to be reached: ${message}`),
    fail: (message) => chai.assert.fail(message),
    extend: (matchers) => chai.expect.extend(expect, matchers),
  },
);
globalThis[GLOBAL_EXPECT] = expect;
setState({ assertionCalls: 0, isExpectingAssertions: false }, expect);
expect.extend(customMatchers);

export const vi = { fn, spyOn, restoreAllMocks };

const newSuite = (name, parent) => ({
  name,
  parent,
  beforeAll: [],
  afterAll: [],
  beforeEach: [],
  afterEach: [],
});

let suite = newSuite("");
let file = "";
const tests = new Map();
/** What onTestFinished and the like hold on to while a test runs. */
export const current = { finished: [] };

/** Collects the tests of one file: `load` imports it. */
export async function collect(name, load) {
  file = name;
  suite = newSuite("");
  await load();
  return tests;
}

const PLACEHOLDERS = /%[sdifjoOc]/g;
const MOST_OF_A_NAME = 200;

/** As Vitest names a row of a table, or nearly: printf's placeholders, not $names. */
function named(name, row) {
  const used = name.match(PLACEHOLDERS)?.length ?? 0;
  return format(name, ...row.slice(0, used)).slice(0, MOST_OF_A_NAME);
}

const rows = (table) => table.map((row) => (Array.isArray(row) ? row : [row]));
const last = (...given) => given.find((one) => typeof one === "function");

function addTest(name, ...rest) {
  const path = [];
  for (let one = suite; one?.parent; one = one.parent) path.unshift(one.name);
  const full = `${file}#${[...path, name].join(" > ")}`;
  let id = full;
  for (let n = 2; tests.has(id); n++) id = `${full} (${n})`;
  const body = last(...rest);
  if (body) tests.set(id, { id, name: id, file, suite, body });
}

function addSuite(name, ...rest) {
  const outer = suite;
  suite = newSuite(name, outer);
  const result = last(...rest)?.();
  if (result instanceof Promise) throw new Error(`${name}: suites that wait are not kept here`);
  suite = outer;
}

const eachOf =
  (add) =>
  (table) =>
  (name, ...rest) => {
    for (const row of rows(table)) add(named(name, row), () => last(...rest)(...row));
  };

const kindOf = (add) => {
  const skipped = Object.assign(() => {}, { each: () => () => {} });
  const kind = Object.assign((...args) => add(...args), { each: eachOf(add), skip: skipped });
  kind.skipIf = (no) => (no ? skipped : kind);
  kind.runIf = (yes) => (yes ? kind : skipped);
  return kind;
};
export const test = kindOf(addTest);
export const it = test;
export const describe = kindOf(addSuite);

export const beforeAll = (hook) => void suite.beforeAll.push(hook);
export const afterAll = (hook) => void suite.afterAll.push(hook);
export const beforeEach = (hook) => void suite.beforeEach.push(hook);
export const afterEach = (hook) => void suite.afterEach.push(hook);
export const onTestFinished = (hook) => void current.finished.push(hook);
