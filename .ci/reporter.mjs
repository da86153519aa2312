/**
 * Vitest's reporter for .ci/run: keeps the count in a file after every test, so that a suite that is
 * ended from outside still says what it did, and which test it was at.
 *
 * CI_REPORT names the file.
 */
import { renameSync, writeFileSync } from "node:fs";

export default class CountReporter {
  #count = { passed: 0, failed: 0, skipped: 0, failures: [], running: undefined, ended: false };

  /** Also while its hooks run. */
  onTestModuleStart(module) {
    this.#at(module.relativeModuleId);
  }

  onTestCaseReady(test) {
    this.#at(nameOf(test));
  }

  onTestCaseResult(test) {
    const { state, errors } = test.result();
    this.#count[state] += 1;
    if (state === "failed")
      this.#count.failures.push(`${nameOf(test)}: ${firstLine(errors?.[0]?.message)}`);
    this.#at(test.module.relativeModuleId);
  }

  /** A file that cannot be loaded, or whose hooks fail, fails without a test that does. */
  onTestModuleEnd(module) {
    for (const suite of [module, ...module.children.allSuites()]) {
      for (const error of suite.errors())
        this.#fail(`${module.relativeModuleId}: ${error.message}`);
    }
  }

  onTestRunEnd(_modules, unhandled) {
    for (const error of unhandled) this.#fail(`unhandled: ${error.message}`);
    this.#count.running = undefined;
    this.#count.ended = true;
    this.#write();
  }

  #at(place) {
    this.#count.running = place;
    this.#write();
  }

  #fail(what) {
    this.#count.failed += 1;
    this.#count.failures.push(what);
  }

  /** Whole or not at all: it may be read while this process is being ended. */
  #write() {
    const path = process.env.CI_REPORT;
    writeFileSync(`${path}.new`, JSON.stringify(this.#count));
    renameSync(`${path}.new`, path);
  }
}

const firstLine = (text = "") => text.split("\n", 1)[0];

function nameOf(test) {
  return `${test.module.relativeModuleId} > ${test.fullName}`;
}
