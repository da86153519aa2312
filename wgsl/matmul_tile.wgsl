// y = x W^T for many rows: a workgroup has TILE_ROWS rows and 64 outputs, a thread 8 rows and 4 outputs of them.
// Block after block, x and the unpacked weights are laid into workgroup memory: 16 KiB for 64 rows of f32, what
// every adapter has. Rows are not guarded: buffers have room for whole tiles. With ACCUMULATE, y += x W^T.

override TILE_ROWS: u32;
override THREADS: u32;
override ACCUMULATE: bool = false;
override HAS_BIAS: bool = false;

struct Params {
  /// Word at which the panels start.
  base: u32,
  /// Rows of W that are wanted of these panels.
  outputs: u32,
  /// vec4s from one row of x to the next.
  x_stride: u32,
  /// Floats from one row of y to the next, and the column of the first output: multiples of 4.
  y_stride: u32,
  y_column: u32,
  /// The first output's bias.
  bias: u32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;

/// Of 4 columns in a block, of 4 outputs in a tile.
const QUADS = 8u;
const OUTPUT_QUADS = 16u;

/// [row][quad of columns]
var<workgroup> tile_x: array<Number4, TILE_ROWS * QUADS>;
/// [column][quad of outputs]
var<workgroup> tile_w: array<Number4, 512>;

/// What is behind a row's last column is no number of it.
fn tile_input(row: u32, column: u32) -> vec4<f32> {
  let value = x[row * params.x_stride + (column >> 2u)];
  if (COLS % 32u == 0u) {
    return value;
  }
  return select(vec4<f32>(), value, vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(COLS));
}

fn input4(column: u32) -> vec4<f32> {
  return vec4<f32>();
}

fn put(row: u32, output: u32, sum: vec4<f32>) {
  if (output >= params.outputs) {
    return;
  }
  let count = min(4u, params.outputs - output);
  let at = (row * params.y_stride + params.y_column + output) >> 2u;
  var value = sum;
  if (HAS_BIAS) {
    for (var i = 0u; i < count; i++) {
      value[i] += biases[params.bias + output + i];
    }
  }
  if (ACCUMULATE) {
    value += y[at];
  }
  if (count == 4u) {
    y[at] = value;
  } else {
    for (var i = 0u; i < count; i++) {
      y[at][i] = value[i];
    }
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let first = group.x * TILE_ROWS;
  // While weights are unpacked: 4 outputs of a panel.
  let v = t & 3u;
  let p = (t >> 2u) & 3u;
  let last_panel = (params.outputs - 1u) / 16u;
  let panel = params.base + min(group.y * 4u + p, last_panel) * panel_words();
  let header = panel_header(panel, v);
  // While sums are made: 8 rows, 4 outputs.
  let n = t & 15u;
  let m = (t >> 4u) * 8u;
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  var s4 = vec4<f32>();
  var s5 = vec4<f32>();
  var s6 = vec4<f32>();
  var s7 = vec4<f32>();
  for (var column = 0u; column < COLS; column += 32u) {
    for (var i = t; i < TILE_ROWS * QUADS; i += THREADS) {
      tile_x[i] = to_number4(tile_input(first + i / QUADS, column + (i % QUADS) * 4u));
    }
    for (var quad = t >> 4u; quad < QUADS; quad += THREADS / 16u) {
      let own = cell(panel, header, column / 32u, v, quad);
      let at = quad * 4u * OUTPUT_QUADS + p * 4u + v;
      tile_w[at] = to_number4(own[0]);
      tile_w[at + OUTPUT_QUADS] = to_number4(own[1]);
      tile_w[at + 2u * OUTPUT_QUADS] = to_number4(own[2]);
      tile_w[at + 3u * OUTPUT_QUADS] = to_number4(own[3]);
    }
    workgroupBarrier();
    for (var quad = 0u; quad < QUADS; quad++) {
      let k = quad * 4u * OUTPUT_QUADS + n;
      let w0 = tile_w[k];
      let w1 = tile_w[k + OUTPUT_QUADS];
      let w2 = tile_w[k + 2u * OUTPUT_QUADS];
      let w3 = tile_w[k + 3u * OUTPUT_QUADS];
      let at = m * QUADS + quad;
      s0 = add(s0, tile_x[at], w0, w1, w2, w3);
      s1 = add(s1, tile_x[at + QUADS], w0, w1, w2, w3);
      s2 = add(s2, tile_x[at + 2u * QUADS], w0, w1, w2, w3);
      s3 = add(s3, tile_x[at + 3u * QUADS], w0, w1, w2, w3);
      s4 = add(s4, tile_x[at + 4u * QUADS], w0, w1, w2, w3);
      s5 = add(s5, tile_x[at + 5u * QUADS], w0, w1, w2, w3);
      s6 = add(s6, tile_x[at + 6u * QUADS], w0, w1, w2, w3);
      s7 = add(s7, tile_x[at + 7u * QUADS], w0, w1, w2, w3);
    }
    workgroupBarrier();
  }
  let output = group.y * 64u + n * 4u;
  let row = first + m;
  put(row, output, s0);
  put(row + 1u, output, s1);
  put(row + 2u, output, s2);
  put(row + 3u, output, s3);
  put(row + 4u, output, s4);
  put(row + 5u, output, s5);
  put(row + 6u, output, s6);
  put(row + 7u, output, s7);
}
