// deno run --unstable-webgpu -A deno.mjs CASES SETTING: the cases' answer as JSON.
const [cases, setting] = Deno.args;
const { runCases } = await import(cases);
const answer = runCases(navigator.gpu, JSON.parse(setting));
console.log(JSON.stringify(await answer.catch(({ message }) => ({ error: message }))));
Deno.exit(0);
