// bun run bun.mjs BUN_WEBGPU CASES SETTING: the cases' answer as JSON.
const [library, cases, setting] = process.argv.slice(2);
const { setupGlobals } = await import(library);
await setupGlobals();
const { runCases } = await import(cases);
const answer = runCases(navigator.gpu, JSON.parse(setting));
console.log(JSON.stringify(await answer.catch(({ message }) => ({ error: message }))));
process.exit(0);
