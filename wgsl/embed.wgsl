// x = the tokens' rows of the embedding. Shards of the table: each writes the rows that it has.

override THREADS: u32 = 64u;

struct Params {
  /// Word at which the shard's panels start.
  base: u32,
  /// Token of its first row, and the one behind its last.
  first: u32,
  end: u32,
  /// Floats from one row of x to the next.
  stride: u32,
}

@group(0) @binding(1) var<uniform> params: Params;
/// (token, slot, position, row of the rotary table) of each row.
@group(0) @binding(2) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let token = rows[group.y].x;
  if (token < params.first || token >= params.end) {
    return;
  }
  let row = token - params.first;
  let panel = params.base + (row / 16u) * panel_words();
  for (var column = t; column < COLS; column += THREADS) {
    x[group.y * params.stride + column] = element(panel, row % 16u, column);
  }
}

fn input4(column: u32) -> vec4<f32> {
  return vec4<f32>();
}
