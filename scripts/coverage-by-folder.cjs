// A report of line coverage: a line for each folder of src, then the files of it that are below it.
const { ReportBase } = require("istanbul-lib-report");

module.exports = class CoverageByFolder extends ReportBase {
  #folders = new Map();

  onDetail(node) {
    const file = node.getQualifiedName();
    const { lines } = node.getCoverageSummary();
    const [folder] = file.replace(/^src\//, "").split("/");
    const known = this.#folders.get(folder) ?? { covered: 0, total: 0 };
    this.#folders.set(folder, {
      covered: known.covered + lines.covered,
      total: known.total + lines.total,
    });
  }

  onEnd() {
    for (const [folder, { covered, total }] of this.#folders) {
      const percent = ((100 * covered) / total).toFixed(1);
      console.log(`src/${folder}: ${percent} % of ${total} lines`);
    }
  }
};
