import { memorySource } from "../../../src/sources/memory.ts";
import { testSource } from "./source-conformance.ts";

testSource("memory", async (bytes) => memorySource(bytes, "bytes"));
