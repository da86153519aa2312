// y = x W^T, a workgroup a panel and row. With ACCUMULATE, y += x W^T.

override THREADS: u32 = 64u;
override ACCUMULATE: bool = false;
override HAS_BIAS: bool = false;

struct Params {
  /// Word at which the panels start.
  base: u32,
  /// Rows of W that are wanted of these panels.
  outputs: u32,
  /// vec4s from one row of x to the next.
  x_stride: u32,
  /// Floats from one row of y to the next, and the column of the first output.
  y_stride: u32,
  y_column: u32,
  /// The first output's bias.
  bias: u32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;

var<workgroup> sums: array<vec4<f32>, THREADS>;
var<private> input_row: u32;

fn input4(column: u32) -> vec4<f32> {
  return x[input_row + (column >> 2u)];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let panel = params.base + group.x * panel_words();
  let lane = t & 15u;
  input_row = group.y * params.x_stride;
  var own = Sums();
  for (var unit = t >> 4u; unit < unit_count(); unit += THREADS / 16u) {
    let part = unit_sums(panel, unit, lane);
    own.scaled += part.scaled;
    own.offset += part.offset;
  }
  sums[t] = total(panel, lane & 3u, own);
  workgroupBarrier();
  for (var half = THREADS / 2u; half >= 4u; half >>= 1u) {
    if (t < half) {
      sums[t] += sums[t + half];
    }
    workgroupBarrier();
  }
  let output = group.x * 16u + t;
  if (t >= 16u || output >= params.outputs) {
    return;
  }
  var sum = sums[t >> 2u][t & 3u];
  if (HAS_BIAS) {
    sum += biases[params.bias + output];
  }
  let at = group.y * params.y_stride + params.y_column + output;
  if (ACCUMULATE) {
    sum += y[at];
  }
  y[at] = sum;
}
