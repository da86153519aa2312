// Attention of one row from its divisions by positions, as attention_decode left them: a workgroup a head.

override THREADS: u32 = 64u;
override HEAD_DIM: u32;
override HEADS: u32;
override SPLIT: u32;
override WHOLE: u32;

struct Params {
  /// Floats from one row to the next, of both.
  x_stride: u32,
  y_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let positions = rows[group.y].z + 1u;
  let count = select(1u, (positions + SPLIT - 1u) / SPLIT, positions > WHOLE);
  let first = group.y * params.x_stride + group.x * (HEAD_DIM + 2u);
  let stride = HEADS * (HEAD_DIM + 2u);
  var largest = x[first];
  for (var n = 1u; n < count; n++) {
    largest = max(largest, x[first + n * stride]);
  }
  for (var i = t; i < HEAD_DIM; i += THREADS) {
    var sum = 0.0;
    var total = 0.0;
    for (var n = 0u; n < count; n++) {
      let at = first + n * stride;
      let factor = exp(x[at] - largest);
      sum += factor * x[at + 2u + i];
      total += factor * x[at + 1u];
    }
    y[group.y * params.y_stride + group.x * HEAD_DIM + i] = sum / total;
  }
}
