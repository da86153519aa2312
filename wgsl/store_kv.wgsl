// Writes the rows' keys and values into the cache: [slot][head][position][dimension].

override THREADS: u32 = 64u;
override HEAD_DIM: u32;
override KV_HEADS: u32;
override CTX: u32;

struct Params {
  /// Floats from one row to the next, and the first columns of keys and values.
  stride: u32,
  key_column: u32,
  value_column: u32,
  /// Slots that the buffers have: rows of others are left to other dispatches.
  first_slot: u32,
  slots: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> keys: array<CachedPair>;
@group(0) @binding(4) var<storage, read_write> values: array<CachedPair>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let half = HEAD_DIM / 2u;
  let index = group.x * THREADS + t;
  if (index >= KV_HEADS * half) {
    return;
  }
  let row = rows[group.y];
  let slot = row.y - params.first_slot;
  if (slot >= params.slots) {
    return;
  }
  let head = index / half;
  let to = ((slot * KV_HEADS + head) * CTX + row.z) * half + index % half;
  let source = group.y * params.stride + 2u * index;
  keys[to] = to_cache(vec2<f32>(x[source + params.key_column], x[source + params.key_column + 1u]));
  values[to] = to_cache(
    vec2<f32>(x[source + params.value_column], x[source + params.value_column + 1u]));
}
