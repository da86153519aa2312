// Rotates pairs (i, i + HEAD_DIM / 2) of each head, in place.

override THREADS: u32 = 64u;
override HEAD_DIM: u32;

struct Params {
  heads: u32,
  /// Floats from one row to the next, and the first head's column.
  stride: u32,
  column: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
/// (cosine, sine) by position and pair.
@group(0) @binding(2) var<storage, read> angles: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let half = HEAD_DIM / 2u;
  let first = rows[group.y].w * half;
  let index = group.x * THREADS + t;
  if (index >= params.heads * half) {
    return;
  }
  let i = index % half;
  let at = group.y * params.stride + params.column + (index / half) * HEAD_DIM + i;
  let angle = angles[first + i];
  let a = x[at];
  let b = x[at + half];
  x[at] = a * angle.x - b * angle.y;
  x[at + half] = b * angle.x + a * angle.y;
}
