// What tiles of a product are multiplied as: f32.

alias Number4 = vec4<f32>;

fn to_number4(value: vec4<f32>) -> Number4 {
  return value;
}

/// The products of four columns, one after the other: each is a fused multiply-add.
fn add(sum: vec4<f32>, a: Number4, w0: Number4, w1: Number4, w2: Number4, w3: Number4) -> vec4<f32> {
  return sum + w0 * a.x + w1 * a.y + w2 * a.z + w3 * a.w;
}
