/** What is asked. */
const WORDS = "river stone cloud horse window paper green seven bread light".split(" ");

/** A text of so many words; two rarely begin alike, so that caches do not do the work. */
export function words(count, random) {
  return Array.from({ length: count }, () => WORDS[Math.floor(random() * WORDS.length)]).join(" ");
}

/** A streamed chat of a known length. */
export function chatJob(model, random, { prompt = 8, tokens = 24, ...more } = {}) {
  return {
    body: {
      model,
      messages: [{ role: "user", content: words(prompt, random) }],
      max_tokens: tokens,
      ignore_eos: true,
      stream: true,
    },
    ...more,
  };
}
