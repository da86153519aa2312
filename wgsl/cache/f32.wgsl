// A cache of f32: pairs of neighbouring dimensions.

alias CachedPair = vec2<f32>;

fn to_cache(pair: vec2<f32>) -> CachedPair {
  return pair;
}

fn from_cache(cached: CachedPair) -> vec2<f32> {
  return cached;
}
