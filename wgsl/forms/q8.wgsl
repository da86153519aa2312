// q8: w = d (q - 128). A tile of 34 words: 16 scales, then codes [g][v], g from 0 to 7.

const HEADER_WORDS = 2u;
const TILE_WORDS = 34u;
const UNIT_COLS = 32u;

fn panel_words() -> u32 {
  return HEADER_WORDS + TILE_WORDS * (COLS / UNIT_COLS);
}

fn unit_count() -> u32 {
  return COLS / UNIT_COLS;
}

fn unit_sums(panel: u32, unit: u32, lane: u32) -> Sums {
  let tile = panel + HEADER_WORDS + unit * TILE_WORDS;
  let first = weights[tile + 2u + lane];
  let second = weights[tile + 18u + lane];
  let column = unit * UNIT_COLS + (lane >> 2u) * 4u;
  let x0 = input4(column);
  let x1 = input4(column + 16u);
  var products: vec4<f32>;
  for (var r = 0u; r < 4u; r++) {
    products[r] = dot(bytes4(first[r]) - 128.0, x0) + dot(bytes4(second[r]) - 128.0, x1);
  }
  return Sums(integers4(tile, lane & 3u) * products, vec4<f32>());
}

fn total(panel: u32, v: u32, sums: Sums) -> vec4<f32> {
  return sums.scaled * powers_of_two(weights[panel], v);
}

fn panel_header(panel: u32, v: u32) -> Header {
  return Header(powers_of_two(weights[panel], v), vec4<f32>());
}

fn codes(panel: u32, block: u32, v: u32, quad: u32) -> vec4<u32> {
  let tile = panel + HEADER_WORDS + block * TILE_WORDS;
  return weights[tile + 2u + quad * 4u + v] ^ vec4<u32>(0x80808080u);
}

fn block_scales(panel: u32, header: Header, block: u32, v: u32) -> Header {
  let tile = panel + HEADER_WORDS + block * TILE_WORDS;
  let d = integers4(tile, v) * header.scales;
  return Header(d, vec4<f32>());
}

fn element(panel: u32, r: u32, column: u32) -> f32 {
  let tile = panel + HEADER_WORDS + (column / UNIT_COLS) * TILE_WORDS;
  let k = column % UNIT_COLS;
  let word = weights[tile + 2u + (k >> 2u) * 4u + (r >> 2u)][r & 3u];
  let code = (word >> ((k & 3u) * 8u)) & 255u;
  return (f32(code) - 128.0) * (integer1(tile, r) * power_of_two1(weights[panel], r));
}
