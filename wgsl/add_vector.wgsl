// y += a vector in the rows that use the adapter: by the row's scale or, where it stands for one of the base's, what it
// differs from that.

override THREADS: u32 = 64u;
override REPLACES: bool = false;

struct Params {
  cols: u32,
  /// Floats from one row to the next, and the first column.
  stride: u32,
  column: u32,
  /// The first elements of both vectors.
  vector: u32,
  base: u32,
  scaling: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
/// Of each row: 1 where it uses the adapter, else 0; and by how much.
@group(0) @binding(1) var<storage, read> uses: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read> bases: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let column = group.x * THREADS + t;
  if (column >= params.cols || uses[group.y].x == 0.0) {
    return;
  }
  let at = group.y * params.stride + params.column + column;
  let own = vectors[params.vector + column];
  if (REPLACES) {
    y[at] += own - bases[params.base + column];
  } else {
    y[at] += own * uses[group.y].y * params.scaling;
  }
}
