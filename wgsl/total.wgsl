// Sums of e^((logit - largest) / temperature) over CHUNK logits of a row, a workgroup each.

override THREADS: u32 = 256u;
override CHUNK: u32;

struct Params {
  count: u32,
  /// The row, its first logit, its largest and where its first sum goes.
  row: u32,
  start: u32,
  largest: u32,
  to: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> draws: array<Draw>;
@group(0) @binding(3) var<storage, read_write> kept: array<Best>;

var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let largest = kept[params.largest].score;
  let end = min(params.count, (group.x + 1u) * CHUNK);
  var sum = 0.0;
  for (var i = group.x * CHUNK + t; i < end; i += THREADS) {
    sum += exp((logits[params.start + i] - largest) / draws[params.row].temperature);
  }
  sums[t] = sum;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half >>= 1u) {
    if (t < half) {
      sums[t] += sums[t + half];
    }
    workgroupBarrier();
  }
  if (t == 0u) {
    kept[params.to + group.x] = Best(sums[0], NO_ID);
  }
}
