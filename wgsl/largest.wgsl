// The KEPT largest of CHUNK candidates, a workgroup each, in order: from the largest on, equal ones by their ids. Run
// again over what it leaves until that is one chunk. NaN is none. With FIRST, candidates are a row's logits.

override THREADS: u32 = 256u;
override CHUNK: u32;
override KEPT: u32;
override FIRST: bool;

struct Params {
  count: u32,
  /// The row's first logit.
  start: u32,
  /// Where the kept ones of the first chunk go.
  to: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> candidates: array<Best>;
@group(0) @binding(3) var<storage, read_write> kept: array<Best>;

var<workgroup> sorted: array<Best, CHUNK>;

fn candidate(i: u32) -> Best {
  if (i >= params.count) {
    return Best(LOWEST, NO_ID);
  }
  if (!FIRST) {
    return candidates[i];
  }
  return better(Best(LOWEST, NO_ID), Best(logits[params.start + i], i));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  for (var i = t; i < CHUNK; i += THREADS) {
    sorted[i] = candidate(group.x * CHUNK + i);
  }
  workgroupBarrier();
  // Bitonic, in descending order.
  for (var size = 2u; size <= CHUNK; size <<= 1u) {
    for (var distance = size >> 1u; distance > 0u; distance >>= 1u) {
      for (var n = t; n < CHUNK / 2u; n += THREADS) {
        let i = 2u * n - (n & (distance - 1u));
        let a = sorted[i];
        let b = sorted[i + distance];
        let isSwapped = better(a, b).id != a.id;
        if (isSwapped == ((i & size) == 0u)) {
          sorted[i] = b;
          sorted[i + distance] = a;
        }
      }
      workgroupBarrier();
    }
  }
  for (var i = t; i < KEPT; i += THREADS) {
    kept[params.to + group.x * KEPT + i] = sorted[i];
  }
}
