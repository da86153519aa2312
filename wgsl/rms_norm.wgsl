// y = x / rms(x) * weight, a workgroup a row.

override THREADS: u32 = 64u;
override COLS: u32;
override EPSILON: f32;

struct Params {
  /// Floats from one row to the next, of both.
  stride: u32,
  /// The first weight.
  weight: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> squares: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let row = group.y * params.stride;
  var own = 0.0;
  for (var column = t; column < COLS; column += THREADS) {
    let value = x[row + column];
    own += value * value;
  }
  squares[t] = own;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half >>= 1u) {
    if (t < half) {
      squares[t] += squares[t + half];
    }
    workgroupBarrier();
  }
  let scale = 1.0 / sqrt(squares[0] / f32(COLS) + EPSILON);
  for (var column = t; column < COLS; column += THREADS) {
    y[row + column] = x[row + column] * scale * weights[params.weight + column];
  }
}
