// x *= the row's scale: rows that do not use the adapter become 0.

override THREADS: u32 = 64u;

struct Params {
  cols: u32,
  /// Floats from one row to the next.
  stride: u32,
  scaling: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
/// Of each row: 1 where it uses the adapter, else 0; and by how much.
@group(0) @binding(1) var<storage, read> uses: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let column = group.x * THREADS + t;
  if (column >= params.cols) {
    return;
  }
  let at = group.y * params.stride + column;
  x[at] = select(0.0, x[at] * uses[group.y].y * params.scaling, uses[group.y].x == 1.0);
}
