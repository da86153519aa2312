import { createEngine } from "pronk";
import { createLlm } from "pronk/server";

const element = <Type extends HTMLElement>(selector: string): Type => {
  const found = document.querySelector<Type>(selector);
  if (!found) throw new Error(`no ${selector}`);
  return found;
};
const form = element<HTMLFormElement>("form");
const button = element<HTMLButtonElement>("button");
const status = element("#status");
const answer = element("#answer");

// Takes a GPU where that is faster; with ?backend=webgpu in any case.
const { searchParams } = new URL(location.href);
const backend = searchParams.get("backend") === "webgpu" ? "webgpu" : "auto";

// A pack in public/model; or a name, such as "smollm2-135m-instruct", to read from the hub.
const engine = await createEngine(new URL("model/", location.href).href, {
  ctx: 1024,
  backend,
  threads: "auto",
  onProgress: ({ loaded, total }) => {
    status.textContent = `Loading: ${Math.floor((100 * loaded) / total)} %`;
  },
});
const llm = createLlm({ engine });
const { threads } = engine.info;
status.textContent = `Ready: ${engine.info.backend}${threads > 1 ? `, ${threads} threads` : ""}`;
button.disabled = false;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  answer.textContent = "";
  try {
    const content = String(new FormData(form).get("question"));
    const messages = [{ role: "user" as const, content }];
    const request = { messages, temperature: 0, max_tokens: 200 };
    for await (const { text, answer: end } of llm.stream(request)) {
      answer.textContent += text;
      if (end) status.textContent = `${end.usage.completion_tokens} tokens`;
    }
  } catch (error) {
    status.textContent = String(error);
  }
  button.disabled = false;
});
