// y = W x for few rows, a workgroup a panel: matrices of one form in one buffer together. With NORM x is normalised, with
// ACCUMULATE y += W x.

override ACCUMULATE: bool = false;
override HAS_BIAS: bool = false;

struct Params {
  /// vec4s from one row of x to the next; floats of y.
  x_stride: u32,
  y_stride: u32,
  /// vec4s before the norm's weights.
  norm: u32,
  /// Of each matrix: the workgroup of its first panel, the word at which that starts, the rows that are wanted and the
  /// column of the first output.
  parts: array<vec4<u32>, 3>,
  /// Their first biases.
  bias: vec4<u32>,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  var part = params.parts[0];
  var bias = params.bias.x;
  for (var i = 1u; i < 3u; i++) {
    if (group.x >= params.parts[i].x) {
      part = params.parts[i];
      bias = params.bias[i];
    }
  }
  let panel = part.y + (group.x - part.x) * panel_words();
  let lane = t & 15u;
  let first_row = group.y * ROWS;
  norm_start = params.norm;
  var own: array<Sums, MOST_ROWS>;
  for (var unit = t >> 4u; unit < unit_count(); unit += THREADS / 16u) {
    for (var r = 0u; r < ROWS; r++) {
      input_row = (first_row + r) * params.x_stride;
      let sums_of_unit = unit_sums(panel, unit, lane);
      own[r].scaled += sums_of_unit.scaled;
      own[r].offset += sums_of_unit.offset;
    }
  }
  let squares = own_squares(t, first_row * params.x_stride, params.x_stride);
  var scales = vec4<f32>(1.0);
  let output = (group.x - part.x) * 16u + t;
  for (var r = 0u; r < ROWS; r++) {
    reduce(t, total(panel, lane & 3u, own[r]), squares);
    if (t < 16u && output < part.z) {
      if (NORM && r == 0u) {
        scales = norm_scales(all_beside());
      }
      var sum = row_sum(t) * scales[r];
      if (HAS_BIAS) {
        sum += biases[bias + output];
      }
      let at = (first_row + r) * params.y_stride + part.w + output;
      if (ACCUMULATE) {
        sum += y[at];
      }
      y[at] = sum;
    }
  }
}
