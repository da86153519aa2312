// In the page: the setting's task, by the module that the setting names; sends what comes of it.
import { measureGenerator } from "/page/workload.mjs";

/** A module that measures has open(setting); one for something else has answer(setting). */
const TASKS = {
  async measure({ open }, setting) {
    const generator = await open(setting);
    const { kernel, kernelReason } = generator;
    return { kernel, kernelReason, ...(await measureGenerator(generator, setting.reps)) };
  },
  async greedy({ open }, setting) {
    const generator = await open(setting);
    const { ids, text } = await generator.generate(setting.ids, setting.tokens, true);
    return { ids, text };
  },
  answer: ({ answer }, setting) => answer(setting),
};

const send = (answer) => fetch("/answer", { method: "POST", body: JSON.stringify(answer) });

try {
  const setting = await (await fetch("/setting.json")).json();
  await send(await TASKS[setting.task](await import(setting.module), setting));
} catch (error) {
  await send({ error: String(error?.stack ?? error) });
}
