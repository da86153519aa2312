// Causal attention of a row's head over its slot's cache, a workgroup each: scores of THREADS positions at a time, with
// the softmax corrected as larger scores come.

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

/// Pairs of dimensions that a thread adds up: of heads of at most 512.
const PAIRS = 4u;
const LOWEST = -3.0e38;

var<workgroup> query: array<vec2<f32>, HEAD_DIM / 2u>;
var<workgroup> reduced: array<f32, THREADS>;
var<workgroup> weights: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let half = HEAD_DIM / 2u;
  let row = rows[group.y];
  let slot = row.y - params.first_slot;
  if (slot >= params.slots) {
    return;
  }
  let count = row.z + 1u;
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
    var score = LOWEST;
    if (start + t < count) {
      score = 0.0;
      let key = first + (start + t) * half;
      for (var i = 0u; i < half; i++) {
        score += dot(query[i], from_cache(keys[key + i]));
      }
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
    let weight = select(0.0, exp(score - next), start + t < count);
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
  let to = group.y * params.out_stride + group.x * HEAD_DIM;
  for (var p = 0u; p < PAIRS; p++) {
    let i = t + p * THREADS;
    if (i < half) {
      out[to + 2u * i] = sums[p].x / total;
      out[to + 2u * i + 1u] = sums[p].y / total;
    }
  }
}
