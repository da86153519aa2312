// Attention of a row's head over the keys that its mask shows, a workgroup each, as attention.wgsl; probabilities are
// written where they are wanted.

override THREADS: u32 = 64u;
override HEAD_DIM: u32;
override HEADS: u32;
override KV_HEADS: u32;
override CTX: u32;

struct Params {
  /// Floats from one row of queries to the next, and the first head's column.
  q_stride: u32,
  q_column: u32,
  /// Floats from one row of the output to the next.
  out_stride: u32,
  /// Slots that the buffers have: rows of others are left to other dispatches.
  first_slot: u32,
  slots: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> keys: array<CachedPair>;
@group(0) @binding(4) var<storage, read> values: array<CachedPair>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
/// Of each row: its keys, the word of its first bit (NONE: it sees the keys up to its own), where its probabilities go
/// (NONE: nowhere), 0. Then bits, from the lowest of a word on.
@group(0) @binding(6) var<storage, read> masks: array<u32>;
/// (heads, keys) of each row that has them.
@group(0) @binding(7) var<storage, read_write> probabilities: array<f32>;

/// Pairs of dimensions that a thread adds up: of heads of at most 512.
const PAIRS = 4u;
const LOWEST = -3.0e38;
const NONE = 0xffffffffu;

var<workgroup> query: array<vec2<f32>, HEAD_DIM / 2u>;
var<workgroup> reduced: array<f32, THREADS>;
var<workgroup> weights: array<f32, THREADS>;

fn is_seen(key: u32, own: u32, bits: u32) -> bool {
  if (bits == NONE) {
    return key <= own;
  }
  return ((masks[bits + (key >> 5u)] >> (key & 31u)) & 1u) == 1u;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let half = HEAD_DIM / 2u;
  let row = rows[group.y];
  let slot = row.y - params.first_slot;
  if (slot >= params.slots) {
    return;
  }
  let count = masks[4u * group.y];
  let bits = masks[4u * group.y + 1u];
  let shown = masks[4u * group.y + 2u];
  let first = (slot * KV_HEADS + group.x / (HEADS / KV_HEADS)) * CTX * half;
  let scale = 1.0 / sqrt(f32(HEAD_DIM));
  let source = group.y * params.q_stride + params.q_column + group.x * HEAD_DIM;
  for (var i = t; i < half; i += THREADS) {
    query[i] = vec2<f32>(q[source + 2u * i], q[source + 2u * i + 1u]) * scale;
  }
  var sums: array<vec2<f32>, PAIRS>;
  var largest = LOWEST;
  var total = 0.0;
  for (var start = 0u; start < count; start += THREADS) {
    workgroupBarrier();
    let own = start + t;
    let seen = own < count && is_seen(own, row.z, bits);
    var score = LOWEST;
    if (seen) {
      score = 0.0;
      let key = first + own * half;
      for (var i = 0u; i < half; i++) {
        score += dot(query[i], from_cache(keys[key + i]));
      }
    }
    if (shown != NONE && own < count) {
      probabilities[shown + group.x * count + own] = score;
    }
    reduced[t] = score;
    workgroupBarrier();
    for (var n = THREADS / 2u; n > 0u; n >>= 1u) {
      if (t < n) {
        reduced[t] = max(reduced[t], reduced[t + n]);
      }
      workgroupBarrier();
    }
    let next = max(largest, workgroupUniformLoad(&reduced[0]));
    let weight = select(0.0, exp(score - next), seen);
    weights[t] = weight;
    reduced[t] = weight;
    workgroupBarrier();
    for (var n = THREADS / 2u; n > 0u; n >>= 1u) {
      if (t < n) {
        reduced[t] += reduced[t + n];
      }
      workgroupBarrier();
    }
    let factor = exp(largest - next);
    total = total * factor + reduced[0];
    largest = next;
    let tile = min(THREADS, count - start);
    for (var p = 0u; p < PAIRS; p++) {
      let i = t + p * THREADS;
      if (i < half) {
        var sum = sums[p] * factor;
        for (var k = 0u; k < tile; k++) {
          sum += weights[k] * from_cache(values[first + (start + k) * half + i]);
        }
        sums[p] = sum;
      }
    }
  }
  if (total == 0.0) { // it sees nothing
    total = 1.0;
  }
  let to = group.y * params.out_stride + group.x * HEAD_DIM;
  for (var p = 0u; p < PAIRS; p++) {
    let i = t + p * THREADS;
    if (i < half) {
      out[to + 2u * i] = sums[p].x / total;
      out[to + 2u * i + 1u] = sums[p].y / total;
    }
  }
  if (shown == NONE) {
    return;
  }
  // Each thread reads the scores that it wrote.
  for (var own = t; own < count; own += THREADS) {
    let at = shown + group.x * count + own;
    probabilities[at] =
      select(0.0, exp(probabilities[at] - largest) / total, is_seen(own, row.z, bits));
  }
}
