// The input of a product of few rows: a workgroup reads a panel once for ROWS of them, and may normalise them by the way.

override ROWS: u32 = 1u;
override NORM: bool = false;
override EPSILON: f32 = 0.0;

/// Rows that share a panel at most.
const MOST_ROWS = 4u;

@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> norm: array<vec4<f32>>;

/// vec4s before the row that `input4` reads, and before the norm's weights.
var<private> input_row: u32;
var<private> norm_start: u32;

fn input4(column: u32) -> vec4<f32> {
  let value = x[input_row + (column >> 2u)];
  if (NORM) {
    return value * norm[norm_start + (column >> 2u)];
  }
  return value;
}

/// What a thread adds to the sums of squares of ROWS rows, the first of which starts at vec4 `first`.
fn own_squares(t: u32, first: u32, stride: u32) -> vec4<f32> {
  var squares = vec4<f32>();
  if (!NORM) {
    return squares;
  }
  for (var column = 4u * t; column < COLS; column += 4u * THREADS) {
    let is_there = vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(COLS);
    for (var r = 0u; r < ROWS; r++) {
      let value = select(vec4<f32>(), x[first + r * stride + (column >> 2u)], is_there);
      squares[r] += dot(value, value);
    }
  }
  return squares;
}

/// 1 / rms of each row.
fn norm_scales(squares: vec4<f32>) -> vec4<f32> {
  return 1.0 / sqrt(squares / f32(COLS) + EPSILON);
}
