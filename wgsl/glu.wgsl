// y = activation(gate) * up.

override THREADS: u32 = 64u;

struct Params {
  cols: u32,
  /// The first column of up; the gate's is 0.
  up_column: u32,
  /// Floats from one row to the next.
  x_stride: u32,
  y_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let column = group.x * THREADS + t;
  if (column >= params.cols) {
    return;
  }
  let source = group.y * params.x_stride + column;
  y[group.y * params.y_stride + column] = activate(x[source]) * x[source + params.up_column];
}
