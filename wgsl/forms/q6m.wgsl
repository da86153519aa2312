// q6m: w = d q + m. A tile of 28 words: 16 minima, 16 scales, then codes [v][half][3]: the fourth
// group of four columns of a half lies in the top bits of the other three.

const HEADER_WORDS = 2u;
const TILE_WORDS = 28u;
const UNIT_COLS = 32u;

fn panel_words() -> u32 {
  return HEADER_WORDS + TILE_WORDS * (COLS / UNIT_COLS);
}

fn unit_count() -> u32 {
  return COLS / UNIT_COLS;
}

fn fourth_group(a: vec4<u32>, b: vec4<u32>, c: vec4<u32>) -> vec4<u32> {
  let top = vec4<u32>(0x03030303u);
  return ((a >> vec4<u32>(6u)) & top) | (((b >> vec4<u32>(6u)) & top) << vec4<u32>(2u)) |
    (((c >> vec4<u32>(6u)) & top) << vec4<u32>(4u));
}

fn unit_sums(panel: u32, unit: u32, lane: u32) -> Sums {
  let tile = panel + HEADER_WORDS + unit * TILE_WORDS;
  let v = lane & 3u;
  let half = lane >> 3u;
  let isSecond = (lane & 4u) != 0u;
  let at = tile + 4u + v * 6u + half * 3u;
  let a = weights[at];
  let b = weights[at + 1u];
  let c = weights[at + 2u];
  let six = vec4<u32>(0x3f3f3f3fu);
  let first = select(a & six, c & six, isSecond);
  let second = select(b & six, fourth_group(a, b, c), isSecond);
  let column = unit * UNIT_COLS + half * 16u + select(0u, 8u, isSecond);
  let x0 = input4(column);
  let x1 = input4(column + 4u);
  let sum = dot(x0, vec4<f32>(1.0)) + dot(x1, vec4<f32>(1.0));
  var products: vec4<f32>;
  for (var r = 0u; r < 4u; r++) {
    products[r] = dot(bytes4(first[r]), x0) + dot(bytes4(second[r]), x1);
  }
  return Sums(integers4(tile + 2u, v) * products, integers4(tile, v) * sum);
}

fn total(panel: u32, v: u32, sums: Sums) -> vec4<f32> {
  return sums.scaled * powers_of_two(weights[panel], v) +
    sums.offset * powers_of_two(weights[panel + 1u], v);
}

fn panel_header(panel: u32, v: u32) -> Header {
  return Header(powers_of_two(weights[panel], v), powers_of_two(weights[panel + 1u], v));
}

fn codes(panel: u32, block: u32, v: u32, quad: u32) -> vec4<u32> {
  let tile = panel + HEADER_WORDS + block * TILE_WORDS;
  let at = tile + 4u + v * 6u + (quad >> 2u) * 3u;
  let i = quad & 3u;
  if (i == 3u) {
    return fourth_group(weights[at], weights[at + 1u], weights[at + 2u]);
  }
  return weights[at + i] & vec4<u32>(0x3f3f3f3fu);
}

fn block_scales(panel: u32, header: Header, block: u32, v: u32) -> Header {
  let tile = panel + HEADER_WORDS + block * TILE_WORDS;
  let d = integers4(tile + 2u, v) * header.scales;
  return Header(d, integers4(tile, v) * header.minima);
}

fn element(panel: u32, r: u32, column: u32) -> f32 {
  let tile = panel + HEADER_WORDS + (column / UNIT_COLS) * TILE_WORDS;
  let k = column % UNIT_COLS;
  let at = tile + 4u + (r >> 2u) * 6u + (k >> 4u) * 3u;
  let group = (k >> 2u) & 3u;
  let shift = (k & 3u) * 8u;
  let fourth = fourth_group(weights[at], weights[at + 1u], weights[at + 2u])[r & 3u];
  let word = select(weights[at + min(group, 2u)][r & 3u], fourth, group == 3u);
  let code = (word >> shift) & 63u;
  let scale = integer1(tile + 2u, r) * power_of_two1(weights[panel], r);
  return f32(code) * scale + integer1(tile, r) * power_of_two1(weights[panel + 1u], r);
}
