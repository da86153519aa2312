// q4s: w = d q + m. A tile of 18 words: 16 minima of i8, 16 scales of u8, then codes [g][v].

const HEADER_WORDS = 2u;
const TILE_WORDS = 18u;
const UNIT_COLS = 32u;

fn panel_words() -> u32 {
  return HEADER_WORDS + TILE_WORDS * (COLS / UNIT_COLS);
}

fn unit_count() -> u32 {
  return COLS / UNIT_COLS;
}

fn unit_sums(panel: u32, unit: u32, lane: u32) -> Sums {
  let tile = panel + HEADER_WORDS + unit * TILE_WORDS;
  let codes = weights[tile + 2u + lane];
  let column = unit * UNIT_COLS + (lane >> 2u) * 4u;
  let x0 = input4(column);
  let x1 = input4(column + 16u);
  let sum = dot(x0, vec4<f32>(1.0)) + dot(x1, vec4<f32>(1.0));
  var products: vec4<f32>;
  for (var r = 0u; r < 4u; r++) {
    let low = bytes4(codes[r] & 0x0f0f0f0fu);
    let high = bytes4((codes[r] >> 4u) & 0x0f0f0f0fu);
    products[r] = dot(low, x0) + dot(high, x1);
  }
  let v = lane & 3u;
  return Sums(bytes4(weights[tile + 1u][v]) * products, vec4<f32>(unpack4xI8(weights[tile][v])) * sum);
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
  let shift = select(0u, 4u, quad >= 4u);
  let word = weights[tile + 2u + (quad & 3u) * 4u + v];
  return (word >> vec4<u32>(shift)) & vec4<u32>(0x0f0f0f0fu);
}

fn block_scales(panel: u32, header: Header, block: u32, v: u32) -> Header {
  let tile = panel + HEADER_WORDS + block * TILE_WORDS;
  let d = bytes4(weights[tile + 1u][v]) * header.scales;
  return Header(d, vec4<f32>(unpack4xI8(weights[tile][v])) * header.minima);
}

fn element(panel: u32, r: u32, column: u32) -> f32 {
  let tile = panel + HEADER_WORDS + (column / UNIT_COLS) * TILE_WORDS;
  let k = column % UNIT_COLS;
  let word = weights[tile + 2u + ((k % 16u) >> 2u) * 4u + (r >> 2u)][r & 3u];
  let code = (word >> ((k & 3u) * 8u + (k >> 4u) * 4u)) & 15u;
  let scale = bytes4(weights[tile + 1u][r >> 2u])[r & 3u] * power_of_two1(weights[panel], r);
  let minimum = f32(unpack4xI8(weights[tile][r >> 2u])[r & 3u]) * power_of_two1(weights[panel + 1u], r);
  return f32(code) * scale + minimum;
}
