// Attention of one row of a sequence, a workgroup a head: it rotates the row's query and key, one workgroup of those that
// share the key writes it and the value to the cache, and none reads them from there. With SPLIT, positions are divided
// beyond WHOLE, a workgroup so many of them, and attention_combine puts them together.

override THREADS: u32 = 128u;
override HEAD_DIM: u32;
override HEADS: u32;
override KV_HEADS: u32;
override CTX: u32;
override SPLIT: u32 = 0u;
override WHOLE: u32 = 0u;

struct Params {
  /// Floats from one row of x to the next, and the first columns of queries, keys and values.
  x_stride: u32,
  q_column: u32,
  k_column: u32,
  v_column: u32,
  /// Floats from one row of the output to the next.
  y_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
/// (cosine, sine) by position and pair.
@group(0) @binding(3) var<storage, read> angles: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> keys: array<CachedPair>;
@group(0) @binding(5) var<storage, read_write> values: array<CachedPair>;
/// With SPLIT: (largest score, sum of weights, HEAD_DIM sums) of each head and division, HEADS of them a division.
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

const LOWEST = -3.0e38;
/// Threads that compare or add up what all have, before each thread does so with a fourth of those.
const ADDERS = 16u;

var<workgroup> query: array<f32, HEAD_DIM>;
/// As the cache will have it.
var<workgroup> new_key: array<f32, HEAD_DIM>;
var<workgroup> weights: array<f32, THREADS>;
var<workgroup> reduced: array<f32, THREADS>;
var<workgroup> sums: array<vec2<f32>, THREADS>;

fn largest_of(t: u32, value: f32) -> f32 {
  reduced[t] = value;
  workgroupBarrier();
  if (t < ADDERS) {
    for (var i = t + ADDERS; i < THREADS; i += ADDERS) {
      reduced[t] = max(reduced[t], reduced[i]);
    }
  }
  workgroupBarrier();
  if (t < 4u) {
    reduced[t] = max(max(reduced[t], reduced[t + 4u]), max(reduced[t + 8u], reduced[t + 12u]));
  }
  workgroupBarrier();
  return max(max(reduced[0], reduced[1]), max(reduced[2], reduced[3]));
}

fn sum_of(t: u32, value: f32) -> f32 {
  reduced[t] = value;
  workgroupBarrier();
  if (t < ADDERS) {
    for (var i = t + ADDERS; i < THREADS; i += ADDERS) {
      reduced[t] += reduced[i];
    }
  }
  workgroupBarrier();
  if (t < 4u) {
    reduced[t] += reduced[t + 4u] + reduced[t + 8u] + reduced[t + 12u];
  }
  workgroupBarrier();
  return (reduced[0] + reduced[1]) + (reduced[2] + reduced[3]);
}

/// To what the cache keeps.
fn rounded(pair: vec2<f32>) -> vec2<f32> {
  return from_cache(to_cache(pair));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let half = HEAD_DIM / 2u;
  let row = rows[group.y];
  let newest = row.z;
  let head = group.x % HEADS;
  let kv_head = head / (HEADS / KV_HEADS);
  var first = 0u;
  var end = newest + 1u;
  if (SPLIT > 0u && end > WHOLE) {
    first = min(end, (group.x / HEADS) * SPLIT);
    end = min(end, first + SPLIT);
  } else if (group.x >= HEADS) {
    end = 0u;
  }
  let cache = (row.y * KV_HEADS + kv_head) * CTX * half;
  let x_row = group.y * params.x_stride;
  let q = x_row + params.q_column + head * HEAD_DIM;
  let k = x_row + params.k_column + kv_head * HEAD_DIM;
  let v = x_row + params.v_column + kv_head * HEAD_DIM;
  let scale = 1.0 / sqrt(f32(HEAD_DIM));
  for (var i = t; i < half; i += THREADS) {
    let angle = angles[row.w * half + i];
    let a = x[q + i];
    let b = x[q + half + i];
    query[i] = (a * angle.x - b * angle.y) * scale;
    query[half + i] = (b * angle.x + a * angle.y) * scale;
    let c = x[k + i];
    let d = x[k + half + i];
    let pair = rounded(vec2<f32>(c * angle.x - d * angle.y, d * angle.x + c * angle.y));
    new_key[i] = pair.x;
    new_key[half + i] = pair.y;
  }
  workgroupBarrier();
  if (group.x == kv_head * (HEADS / KV_HEADS)) {
    for (var i = t; i < half; i += THREADS) {
      let to = cache + newest * half + i;
      keys[to] = to_cache(vec2<f32>(new_key[2u * i], new_key[2u * i + 1u]));
      values[to] = to_cache(vec2<f32>(x[v + 2u * i], x[v + 2u * i + 1u]));
    }
  }
  // Threads in teams, a thread of each for each pair of dimensions: a team adds up its part of the positions' values.
  let teams = THREADS / half;
  let team = t / half;
  let i = t % half;
  var sum = vec2<f32>();
  var largest = LOWEST;
  var total = 0.0;
  for (var start = first; start < end; start += THREADS) {
    let position = start + t;
    var score = LOWEST;
    if (position < end) {
      score = 0.0;
      if (position == newest) {
        for (var n = 0u; n < HEAD_DIM; n++) {
          score += query[n] * new_key[n];
        }
      } else {
        let key = cache + position * half;
        for (var n = 0u; n < half; n++) {
          score += dot(vec2<f32>(query[2u * n], query[2u * n + 1u]), from_cache(keys[key + n]));
        }
      }
    }
    let next = max(largest, largest_of(t, score));
    let weight = select(0.0, exp(score - next), position < end);
    weights[t] = weight;
    workgroupBarrier();
    let factor = exp(largest - next);
    total = total * factor + weight;
    largest = next;
    sum *= factor;
    if (team < teams) {
      for (var n = team; n < min(THREADS, end - start); n += teams) {
        if (start + n == newest) {
          sum += weights[n] * rounded(vec2<f32>(x[v + 2u * i], x[v + 2u * i + 1u]));
        } else {
          sum += weights[n] * from_cache(values[cache + (start + n) * half + i]);
        }
      }
    }
  }
  workgroupBarrier();
  sums[t] = sum;
  total = sum_of(t, total);
  if (t >= half) {
    return;
  }
  for (var n = 1u; n < teams; n++) {
    sum += sums[n * half + t];
  }
  if (SPLIT == 0u) {
    let to = group.y * params.y_stride + head * HEAD_DIM + 2u * t;
    y[to] = sum.x / total;
    y[to + 1u] = sum.y / total;
    return;
  }
  let to = group.y * params.y_stride + group.x * (HEAD_DIM + 2u);
  y[to + 2u + 2u * t] = sum.x;
  y[to + 3u + 2u * t] = sum.y;
  if (t == 0u) {
    y[to] = largest;
    y[to + 1u] = total;
  }
}
