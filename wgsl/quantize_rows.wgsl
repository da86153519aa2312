// Blocks of 32 of x as int8: x = d q with d = max |x| / 127. A workgroup has 8 blocks.

const THREADS = 64u;

struct Params {
  /// vec4s of a row that are columns, and from one row to the next.
  quads: u32,
  x_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
/// [row][block][8], four columns a word.
@group(0) @binding(2) var<storage, read_write> codes: array<u32>;
/// [row][block]: d, and d times the sum of the codes.
@group(0) @binding(3) var<storage, read_write> scales: array<vec2<f32>>;

var<workgroup> largest: array<f32, THREADS>;
var<workgroup> sums: array<i32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let quad = group.x * THREADS + t;
  var value = vec4<f32>();
  if (quad < params.quads) {
    value = x[group.y * params.x_stride + quad];
  }
  let size = abs(value);
  largest[t] = max(max(size.x, size.y), max(size.z, size.w));
  workgroupBarrier();
  let first = t & ~7u;
  var most = 0.0;
  for (var i = 0u; i < 8u; i++) {
    most = max(most, largest[first + i]);
  }
  let q = vec4<i32>(round(value * select(0.0, 127.0 / most, most > 0.0)));
  sums[t] = q.x + q.y + q.z + q.w;
  workgroupBarrier();
  if (quad >= params.quads) {
    return;
  }
  codes[group.y * params.quads + quad] = pack4xI8(q);
  if (t == first) {
    var sum = 0;
    for (var i = 0u; i < 8u; i++) {
      sum += sums[first + i];
    }
    let d = most / 127.0;
    scales[(group.y * params.quads + quad) / 8u] = vec2<f32>(d, d * f32(sum));
  }
}
