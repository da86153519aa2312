/**
 * pronk in browsers, and wherever there is nothing but web APIs.
 *
 * @module
 */
export { PronkError } from "../../errors.ts";
export { httpFolder, httpSource } from "../../sources/http.ts";
export { retrying, retryingFolder } from "../../sources/retrying.ts";
export * from "../types.ts";
export { type CreateEngineOptions, createEngine } from "./create-engine.ts";
export * from "./models.ts";
export * from "./tokenizers.ts";
