// The best of CHUNK logits of a row, a workgroup each: what `head` leaves where it runs, from logits.

override THREADS: u32 = 256u;
override CHUNK: u32;

struct Params {
  outputs: u32,
  /// Floats from one row of logits to the next, and bests.
  stride: u32,
  best_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> draws: array<Draw>;
@group(0) @binding(3) var<storage, read_write> bests: array<Best>;

var<workgroup> kept: array<Best, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let row = group.y;
  let end = min(params.outputs, (group.x + 1u) * CHUNK);
  var best = Best(LOWEST, NO_ID);
  for (var id = group.x * CHUNK + t; id < end; id += THREADS) {
    best = better(best, Best(score_of(logits[row * params.stride + id], id, draws[row]), id));
  }
  kept[t] = best;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half >>= 1u) {
    if (t < half) {
      kept[t] = better(kept[t], kept[t + half]);
    }
    workgroupBarrier();
  }
  if (t == 0u) {
    bests[row * params.best_stride + group.x] = kept[0];
  }
}
