/**
 * Measured sections of pages. A section stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`
 * and is made from the raw figures in docs/benchmarks.json, never by hand: a test compares the two.
 *
 *   node scripts/bench/page.mjs          makes every section and picture anew from the raw figures
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { concurrencyTables } from "./concurrency-report.mjs";
import { contextTables } from "./contexts-report.mjs";
import { grammarTables } from "./grammar-report.mjs";
import { isolateSentence, isolateTables } from "./isolate-report.mjs";
import { kernelTables } from "./kernels-report.mjs";
import {
  contextsPicture,
  isolatePicture,
  peersPicture,
  qualityPicture,
  rooflinePicture,
} from "./pictures.mjs";
import { prefixTables } from "./prefix-report.mjs";
import { profileTable } from "./profile-report.mjs";
import { qualityTables } from "./quality/tables.mjs";
import { inOneSentence, resultTables } from "./report.mjs";
import { scalingTables } from "./scaling-report.mjs";
import { replaceSection } from "./sections.mjs";
import { stagesTables } from "./stages-report.mjs";
import { webgpuTables } from "./webgpu-report.mjs";

const README = fileURLToPath(new URL("../../README.md", import.meta.url));
const docs = fileURLToPath(new URL("../../docs", import.meta.url));
export const RAW = join(docs, "benchmarks.json");

/** By the name of its bench: the page with the section, the Markdown, a picture, and the README's section. */
export const SECTIONS = {
  kernels: {
    page: "kernels.md",
    render: kernelTables,
    picture: ["pictures/roofline.svg", rooflinePicture],
  },
  peers: {
    page: "benchmarks.md",
    render: resultTables,
    picture: ["benchmarks.svg", peersPicture],
    readme: inOneSentence,
  },
  profile: { page: "kernels.md", render: profileTable },
  contexts: {
    page: "benchmarks.md",
    render: contextTables,
    picture: ["pictures/contexts.svg", contextsPicture],
  },
  concurrency: { page: "benchmarks.md", render: concurrencyTables },
  prefix: { page: "benchmarks.md", render: prefixTables },
  grammar: { page: "benchmarks.md", render: grammarTables },
  isolate: {
    page: "benchmarks.md",
    render: isolateTables,
    readme: isolateSentence,
    picture: ["pictures/isolate.svg", isolatePicture],
  },
  quality: {
    page: "benchmarks.md",
    render: qualityTables,
    picture: ["pictures/quality.svg", qualityPicture],
  },
  scaling: { page: "benchmarks.md", render: scalingTables },
  stages: { page: "benchmarks.md", render: stagesTables },
  webgpu: { page: "webgpu.md", render: webgpuTables },
};

/** Keeps a bench's document in docs/benchmarks.json and writes its section. @returns files written. */
export function writeSection(name, document) {
  const raw = readRaw();
  raw[name] = document;
  writeFileSync(RAW, `${JSON.stringify(raw, undefined, 1)}\n`);
  return [RAW, ...renderSection(name, document)];
}

/** The raw figures of every bench that was written, by its name. */
export function readRaw() {
  return existsSync(RAW) ? JSON.parse(readFileSync(RAW, "utf8")) : {};
}

function renderSection(name, document) {
  const { page, render, picture, readme } = SECTIONS[name];
  const pages = [[join(docs, page), render]];
  if (readme) pages.push([README, readme]);
  for (const [path, text] of pages) {
    writeFileSync(path, replaceSection(readFileSync(path, "utf8"), name, text(document)));
  }
  const paths = pages.map(([path]) => path);
  if (!picture) return paths;
  const [file, draw] = picture;
  mkdirSync(dirname(join(docs, file)), { recursive: true });
  writeFileSync(join(docs, file), draw(document));
  return [...paths, join(docs, file)];
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const [name, document] of Object.entries(readRaw())) {
    for (const path of renderSection(name, document)) console.log(path);
  }
}
