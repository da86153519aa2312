// y = x W^T for many rows of x as int8 in blocks of 32, over quantized weights: a workgroup has TILE_ROWS rows and 64
// outputs, a thread 8 rows and 4 outputs. Products of a block are added up as integers. Rows are not guarded: buffers
// have room for whole tiles. With ACCUMULATE, y += x W^T.

override TILE_ROWS: u32;
override THREADS: u32;
override ACCUMULATE: bool = false;
override HAS_BIAS: bool = false;

struct Params {
  /// Word at which the panels start.
  base: u32,
  /// Rows of W that are wanted of these panels.
  outputs: u32,
  /// Of the form's other kernels.
  x_stride: u32,
  /// Floats from one row of y to the next, and the column of the first output: multiples of 4.
  y_stride: u32,
  y_column: u32,
  /// The first output's bias.
  bias: u32,
}

@group(0) @binding(1) var<uniform> params: Params;
/// [row][block][2]
@group(0) @binding(2) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;
/// [row][block]: scale, and scale times the sum of the codes.
@group(0) @binding(5) var<storage, read> x_scales: array<vec2<f32>>;

/// Of 4 columns in a block, of 4 outputs in a tile.
const QUADS = 8u;
const OUTPUT_QUADS = 16u;

/// [row][half of a block]
var<workgroup> tile_x: array<vec4<u32>, TILE_ROWS * 2u>;
var<workgroup> tile_x_scales: array<vec2<f32>, TILE_ROWS>;
/// [quad of columns][quad of outputs]
var<workgroup> tile_w: array<vec4<u32>, 128>;
var<workgroup> tile_d: array<vec4<f32>, OUTPUT_QUADS>;
var<workgroup> tile_m: array<vec4<f32>, OUTPUT_QUADS>;

fn input4(column: u32) -> vec4<f32> {
  return vec4<f32>();
}

fn dots(x: u32, w: vec4<u32>) -> vec4<i32> {
  return vec4<i32>(
    dot4I8Packed(x, w.x), dot4I8Packed(x, w.y), dot4I8Packed(x, w.z), dot4I8Packed(x, w.w));
}

/// A row's products of a block with four outputs.
fn add(sum: vec4<f32>, row: u32, n: u32) -> vec4<f32> {
  let first = tile_x[row * 2u];
  let second = tile_x[row * 2u + 1u];
  var p = dots(first.x, tile_w[n]);
  p += dots(first.y, tile_w[n + OUTPUT_QUADS]);
  p += dots(first.z, tile_w[n + 2u * OUTPUT_QUADS]);
  p += dots(first.w, tile_w[n + 3u * OUTPUT_QUADS]);
  p += dots(second.x, tile_w[n + 4u * OUTPUT_QUADS]);
  p += dots(second.y, tile_w[n + 5u * OUTPUT_QUADS]);
  p += dots(second.z, tile_w[n + 6u * OUTPUT_QUADS]);
  p += dots(second.w, tile_w[n + 7u * OUTPUT_QUADS]);
  let scale = tile_x_scales[row];
  return sum + vec4<f32>(p) * tile_d[n] * scale.x + tile_m[n] * scale.y;
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
  let blocks = COLS / 32u;
  let first = group.x * TILE_ROWS;
  // While weights are laid out: 4 outputs of a panel.
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
  for (var block = 0u; block < blocks; block++) {
    for (var i = t; i < TILE_ROWS * 2u; i += THREADS) {
      tile_x[i] = x[((first + (i >> 1u)) * blocks + block) * 2u + (i & 1u)];
    }
    if (t < TILE_ROWS) {
      tile_x_scales[t] = x_scales[(first + t) * blocks + block];
    }
    for (var quad = t >> 4u; quad < QUADS; quad += THREADS / 16u) {
      tile_w[quad * OUTPUT_QUADS + n] = codes(panel, block, v, quad);
    }
    if (t < OUTPUT_QUADS) {
      let s = block_scales(panel, header, block, v);
      tile_d[t] = s.scales;
      tile_m[t] = s.minima;
    }
    workgroupBarrier();
    s0 = add(s0, m, n);
    s1 = add(s1, m + 1u, n);
    s2 = add(s2, m + 2u, n);
    s3 = add(s3, m + 3u, n);
    s4 = add(s4, m + 4u, n);
    s5 = add(s5, m + 5u, n);
    s6 = add(s6, m + 6u, n);
    s7 = add(s7, m + 7u, n);
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
