// What tiles of a product are multiplied as: f16, of which four products at a time are added up. Sums are f32.
enable f16;

alias Number4 = vec4<f16>;

/// What is too large is its largest.
fn to_number4(value: vec4<f32>) -> Number4 {
  return Number4(clamp(value, vec4<f32>(-65504.0), vec4<f32>(65504.0)));
}

fn add(sum: vec4<f32>, a: Number4, w0: Number4, w1: Number4, w2: Number4, w3: Number4) -> vec4<f32> {
  return sum + vec4<f32>(w0 * a.x + w1 * a.y + w2 * a.z + w3 * a.w);
}
