// y = x in the rows that use the adapter.

override THREADS: u32 = 64u;

struct Params {
  cols: u32,
  /// Floats from one row to the next, and the first column, of both.
  stride: u32,
  column: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
/// Of each row: 1 where it uses the adapter, else 0; and by how much.
@group(0) @binding(1) var<storage, read> uses: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let column = group.x * THREADS + t;
  if (column >= params.cols || uses[group.y].x == 0.0) {
    return;
  }
  let at = group.y * params.stride + params.column + column;
  y[at] = x[at];
}
