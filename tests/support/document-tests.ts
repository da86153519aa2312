/** Which test runs the commands of each document. */

/** By a document's path, or by its folder's with a slash. The test opens it by `openDocument`. */
export const DOCUMENT_TESTS: Readonly<Record<string, string>> = {
  "README.md": "tests/e2e/documents.test.ts",
  "CONTRIBUTING.md": ".ci/run",
  "docs/": "tests/e2e/documents.test.ts",
  "docs/guides/": "tests/e2e/guides.test.ts",
  "docs/tutorials/": "tests/e2e/tutorials.test.ts",
  "docs/deploy/node.md": "tests/e2e/deploy-documents.test.ts",
  "docs/deploy/deno.md": "tests/e2e/deploy-documents.test.ts",
  "docs/deploy/bun.md": "tests/e2e/deploy-documents.test.ts",
  "docs/deploy/cloudflare.md": "tests/e2e/deploy-docs.test.ts",
  "docs/deploy/cloudflare-containers.md": "tests/e2e/cloudflare-containers.test.ts",
  "docs/deploy/container.md": "tests/e2e/image.test.ts",
  "docs/deploy/kubernetes.md": "tests/e2e/kubernetes.test.ts",
  "examples/": "tests/e2e/example-projects.test.ts",
  "examples/clients/README.md": "tests/e2e/examples.test.ts",
  "examples/esbuild/README.md": "tests/browser/bundlers.test.ts",
  "examples/vite/README.md": "tests/browser/bundlers.test.ts",
  "examples/webpack/README.md": "tests/browser/bundlers.test.ts",
};

/** The longest of those names that a document begins with. */
export function testOf(document: string): string | undefined {
  const [found] = Object.keys(DOCUMENT_TESTS)
    .filter((name) => (name.endsWith("/") ? document.startsWith(name) : document === name))
    .sort((a, b) => b.length - a.length);
  return found === undefined ? undefined : DOCUMENT_TESTS[found];
}

/**
 * Commands that would change this checkout, or need drivers or an account: the file that does what they do, and what stands
 * there. A document whose own test is that file runs them itself.
 */
export const ELSEWHERE: Readonly<Record<string, readonly [file: string, text: string]>> = {
  "npm ci": [".ci/run", "npm ci"],
  "npm ci --ignore-scripts": ["Dockerfile", "npm ci --ignore-scripts"],
  "npx pronk pull smollm2-135m-instruct": [".ci/run", "npx pronk pull smollm2-135m-instruct"],
  "npm install webgpu": ["scripts/test-webgpu.mjs", "webgpu"],
  "npx pronk serve --backend webgpu": ["tests/webgpu/commands.test.ts", '"--backend", "webgpu"'],
};

/** Whether another test than the document's own does what a command does. */
export function isElsewhere(command: string, document: string): boolean {
  return Object.hasOwn(ELSEWHERE, command) && ELSEWHERE[command]?.[0] !== testOf(document);
}
