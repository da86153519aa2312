// The noise by which a token is drawn, as src/backends/token-noise.ts says, and scores that are compared.

/// What is drawn of a row; temperature 0: its arg max. `at` is where its next token goes.
struct Draw {
  temperature: f32,
  seed_low: u32,
  seed_high: u32,
  index: u32,
  at: u32,
}

struct Best {
  score: f32,
  id: u32,
}

const LOWEST = -3.4028234e38;
const NO_ID = 0xffffffffu;

fn noise_bits(key: vec4<u32>) -> u32 {
  var v = key * 1664525u + 1013904223u;
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  v ^= v >> vec4<u32>(16u);
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  var w = v.w;
  w = (w ^ (w >> 16u)) * 0x7feb352du;
  w = (w ^ (w >> 15u)) * 0x846ca68bu;
  return w ^ (w >> 16u);
}

fn gumbel(bits: u32) -> f32 {
  let v = select(f32(bits >> 8u) * 0x1p-24f, f32(bits | 1u) * 0x1p-32f, bits < 0x1000000u);
  let series = v * (1.0 + v * (1.0 / 2.0 + v * (1.0 / 3.0 + v * (1.0 / 4.0 + v * (1.0 / 5.0 + v / 6.0)))));
  return -log(select(-log(1.0 - v), series, v < 0.0625));
}

fn score_of(logit: f32, id: u32, draw: Draw) -> f32 {
  if (draw.temperature == 0.0) {
    return logit;
  }
  let bits = noise_bits(vec4<u32>(draw.seed_low, draw.seed_high, draw.index, id));
  return logit / draw.temperature + gumbel(bits);
}

/// The lowest id wins a tie, and NaN never.
fn better(a: Best, b: Best) -> Best {
  if (b.score > a.score || (b.score == a.score && b.id < a.id)) {
    return b;
  }
  return a;
}
