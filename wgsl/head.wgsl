// Logits of few rows, W norm(x), a workgroup a panel; of each panel's 16 the best. With LOGITS they are kept, too.

override HAS_BIAS: bool = false;
override LOGITS: bool = false;

struct Params {
  /// vec4s from one row of x to the next; floats of the logits.
  x_stride: u32,
  y_stride: u32,
  /// vec4s before the norm's weights.
  norm: u32,
  /// Word at which the panels start.
  base: u32,
  /// The panels' first token, those that there are of them, and its bias.
  first: u32,
  outputs: u32,
  bias: u32,
  /// From one row of the bests to the next.
  best_stride: u32,
}

@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> logits: array<f32>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;
@group(0) @binding(6) var<storage, read> draws: array<Draw>;
@group(0) @binding(7) var<storage, read_write> bests: array<Best>;

var<workgroup> kept: array<Best, 16>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let panel = params.base + group.x * panel_words();
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
  let output = group.x * 16u + t;
  let left = params.outputs - group.x * 16u;
  for (var r = 0u; r < ROWS; r++) {
    reduce(t, total(panel, lane & 3u, own[r]), squares);
    let row = first_row + r;
    if (t < 16u) {
      var best = Best(LOWEST, NO_ID);
      if (t < left) {
        if (r == 0u) {
          scales = norm_scales(all_beside());
        }
        var logit = row_sum(t) * scales[r];
        if (HAS_BIAS) {
          logit += biases[params.bias + output];
        }
        let id = params.first + output;
        if (LOGITS) {
          logits[row * params.y_stride + id] = logit;
        }
        best = better(best, Best(score_of(logit, id, draws[row]), id));
      }
      kept[t] = best;
    }
    workgroupBarrier();
    if (t < 4u) {
      kept[t] = better(better(kept[t], kept[t + 4u]), better(kept[t + 8u], kept[t + 12u]));
    }
    workgroupBarrier();
    if (t == 0u) {
      bests[row * params.best_stride + (params.first >> 4u) + group.x] =
        better(better(kept[0], kept[1]), better(kept[2], kept[3]));
    }
  }
}
