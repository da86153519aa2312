// What the quantized forms share: rows' exponents and the 16-bit integers of a block. See docs/pack-format.md.

/// 2^exponent of rows 4v to 4v + 3, from a header word of 16 signed bytes.
fn powers_of_two(word: vec4<u32>, v: u32) -> vec4<f32> {
  let exponents = unpack4xI8(word[v]);
  return bitcast<vec4<f32>>((exponents + 127) << vec4<u32>(23u));
}

/// Signed 16-bit integers of rows 4v to 4v + 3, from the two words at `at`.
fn integers4(at: u32, v: u32) -> vec4<f32> {
  let word = weights[at + (v >> 1u)];
  let pairs = bitcast<vec2<i32>>(select(word.xy, word.zw, (v & 1u) == 1u));
  let low = (pairs << vec2<u32>(16u)) >> vec2<u32>(16u);
  let high = pairs >> vec2<u32>(16u);
  return vec4<f32>(vec4<i32>(low.x, high.x, low.y, high.y));
}

/// The signed 16-bit integer of row r, from the two words at `at`.
fn integer1(at: u32, r: u32) -> f32 {
  let pair = bitcast<i32>(weights[at + (r >> 3u)][(r >> 1u) & 3u]);
  return f32(select((pair << 16u) >> 16u, pair >> 16u, (r & 1u) == 1u));
}

fn power_of_two1(word: vec4<u32>, r: u32) -> f32 {
  let exponent = unpack4xI8(word[r >> 2u])[r & 3u];
  return bitcast<f32>((exponent + 127) << 23u);
}

fn bytes4(word: u32) -> vec4<f32> {
  return vec4<f32>(unpack4xU8(word));
}

/// Weights of rows 4v to 4v + 3 and columns 4 quad to 4 quad + 3 of a block: d q + m.
fn cell(panel: u32, header: Header, block: u32, v: u32, quad: u32) -> mat4x4<f32> {
  let rows = codes(panel, block, v, quad);
  let columns = transpose(mat4x4<f32>(
    signed4(rows.x), signed4(rows.y), signed4(rows.z), signed4(rows.w)));
  let s = block_scales(panel, header, block, v);
  return mat4x4<f32>(
    columns[0] * s.scales + s.minima, columns[1] * s.scales + s.minima,
    columns[2] * s.scales + s.minima, columns[3] * s.scales + s.minima);
}

fn signed4(word: u32) -> vec4<f32> {
  return vec4<f32>(unpack4xI8(word));
}
