/** Texts of what texts are made of: words of many scripts, code, numbers, spaces, emoji, controls. */

const PARTS = [
  ..."The quick brown fox doesn't jump; we've they'll I'm CAN'T tokenization naïve Straße".split(
    " ",
  ),
  ..."energy through process known photosynthesis conscious language models generate".split(" "),
  ...'def return x+=1 foo_bar() {"key": [1, null]} <div class="a"> https://example.com/?q=1&r=2'.split(
    " ",
  ),
  ..."Привет мир こんにちは 世界 안녕하세요 שלום مرحبا नमस्ते ไทย 中文字符 ελληνικά ქართული አማርኛ".split(
    " ",
  ),
  ..."0 7 42 123 2024 3.14159 1,000,000 ½ ² Ⅻ ٣٤ 𝟘 12345678901234567890".split(" "),
  ..."😀 👍🏽 👨‍👩‍👧 🇫🇷 ❤️ 1️⃣ é e\u0301 \u0000 \u200b \ufeff \u00ad ﬁ 𝕏 \u{10ffff} ſ ß İ".split(" "),
  ..."' '' \" ... --- !? # ▁ ▁▁ 's 'S 'ſ 'll 'LL <0x0A> [INST] <<SYS>>".split(" "),
  ...[
    " ",
    "  ",
    "    ",
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    "\u00a0",
    "\u0085",
    "\u3000",
    "\u2028",
    "\u000b",
  ],
];

/** Same numbers on every run (mulberry32): [0, limit). */
function randomSource(seed) {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

/** So many texts, the same on every run; some of any characters at all. */
export function mixedTexts(count) {
  const random = randomSource(5);
  const character = () => {
    const code = random(4) === 0 ? random(0x110000) : random(0x3000);
    return code >= 0xd800 && code < 0xe000 ? "x" : String.fromCodePoint(code);
  };
  return Array.from({ length: count }, (_, n) => {
    const parts = Array.from({ length: 1 + random(20) }, () =>
      n % 5 === 0 ? character() : PARTS[random(PARTS.length)] + (random(2) === 0 ? " " : ""),
    );
    return parts.join("");
  });
}
