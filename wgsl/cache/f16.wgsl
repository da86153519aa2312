// A cache of f16: pairs of neighbouring dimensions in a word. What is too large for f16 is kept as its largest.

alias CachedPair = u32;

fn to_cache(pair: vec2<f32>) -> CachedPair {
  return pack2x16float(clamp(pair, vec2<f32>(-65504.0), vec2<f32>(65504.0)));
}

fn from_cache(cached: CachedPair) -> vec2<f32> {
  return unpack2x16float(cached);
}
