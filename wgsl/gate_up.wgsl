// y = activation(W1 norm(x)) * (W3 norm(x)) for few rows, a workgroup a panel of both.

override HAS_BIAS: bool = false;

struct Params {
  /// vec4s from one row of x to the next; floats of y.
  x_stride: u32,
  y_stride: u32,
  /// vec4s before the norm's weights.
  norm: u32,
  outputs: u32,
  /// Words at which the panels start, and the first biases.
  gate: u32,
  up: u32,
  gate_bias: u32,
  up_bias: u32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let gate_panel = params.gate + group.x * panel_words();
  let up_panel = params.up + group.x * panel_words();
  let lane = t & 15u;
  let first_row = group.y * ROWS;
  norm_start = params.norm;
  var gates: array<Sums, MOST_ROWS>;
  var ups: array<Sums, MOST_ROWS>;
  for (var unit = t >> 4u; unit < unit_count(); unit += THREADS / 16u) {
    for (var r = 0u; r < ROWS; r++) {
      input_row = (first_row + r) * params.x_stride;
      let gate = unit_sums(gate_panel, unit, lane);
      gates[r].scaled += gate.scaled;
      gates[r].offset += gate.offset;
      let up = unit_sums(up_panel, unit, lane);
      ups[r].scaled += up.scaled;
      ups[r].offset += up.offset;
    }
  }
  let squares = own_squares(t, first_row * params.x_stride, params.x_stride);
  reduce(t, vec4<f32>(), squares);
  let scales = norm_scales(all_beside());
  let output = group.x * 16u + t;
  for (var r = 0u; r < ROWS; r++) {
    reduce(t, total(gate_panel, lane & 3u, gates[r]), total(up_panel, lane & 3u, ups[r]));
    if (t < 16u && output < params.outputs) {
      var gate = row_sum(t) * scales[r];
      var up = row_beside(t) * scales[r];
      if (HAS_BIAS) {
        gate += biases[params.gate_bias + output];
        up += biases[params.up_bias + output];
      }
      y[(first_row + r) * params.y_stride + output] = activate(gate) * up;
    }
  }
}
