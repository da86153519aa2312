// bf16: panels are [cols][16].

const UNIT_COLS = 4u;

fn panel_words() -> u32 {
  return COLS * 2u;
}

fn unit_count() -> u32 {
  return (COLS + UNIT_COLS - 1u) / UNIT_COLS;
}

fn unit_sums(panel: u32, unit: u32, lane: u32) -> Sums {
  let column = unit * UNIT_COLS + (lane >> 2u);
  if (column >= COLS) {
    return Sums();
  }
  let v = lane & 3u;
  let word = weights[panel + column * 2u + (v >> 1u)];
  let pairs = select(word.xy, word.zw, (v & 1u) == 1u);
  let values = bitcast<vec4<f32>>(vec4<u32>(
    pairs.x << 16u, pairs.x & 0xffff0000u, pairs.y << 16u, pairs.y & 0xffff0000u));
  return Sums(values * input4(column & ~3u)[column & 3u], vec4<f32>());
}

fn total(panel: u32, v: u32, sums: Sums) -> vec4<f32> {
  return sums.scaled;
}

fn panel_header(panel: u32, v: u32) -> Header {
  return Header();
}

fn cell(panel: u32, header: Header, block: u32, v: u32, quad: u32) -> mat4x4<f32> {
  let column = block * 32u + quad * 4u;
  return mat4x4<f32>(
    quad_of_rows(panel, column, v), quad_of_rows(panel, column + 1u, v),
    quad_of_rows(panel, column + 2u, v), quad_of_rows(panel, column + 3u, v));
}

fn quad_of_rows(panel: u32, column: u32, v: u32) -> vec4<f32> {
  if (column >= COLS) {
    return vec4<f32>();
  }
  let word = weights[panel + column * 2u + (v >> 1u)];
  let pairs = select(word.xy, word.zw, (v & 1u) == 1u);
  return bitcast<vec4<f32>>(vec4<u32>(
    pairs.x << 16u, pairs.x & 0xffff0000u, pairs.y << 16u, pairs.y & 0xffff0000u));
}

fn element(panel: u32, r: u32, column: u32) -> f32 {
  let pair = weights[panel + column * 2u + (r >> 3u)][(r >> 1u) & 3u];
  return bitcast<f32>(select(pair << 16u, pair & 0xffff0000u, (r & 1u) == 1u));
}
