// Causal attention of up to 32 consecutive rows of a slot, a workgroup a head and tile of them: 32 positions at a time,
// with the softmax corrected as larger scores come. A thread adds up 4 dimensions of 8 rows. Heads are of a multiple
// of 4 and at most 256 dimensions.

override HEAD_DIM: u32;
override HEADS: u32;
override KV_HEADS: u32;
override CTX: u32;
/// Four groups of rows, for each four dimensions.
override THREADS: u32;

struct Params {
  /// vec4s from one row of queries to the next, and the first head's.
  q_stride: u32,
  q_column: u32,
  /// vec4s from one row of the output to the next.
  out_stride: u32,
  /// The first tile's place in `rows`: (first row, rows, slot, position of the first).
  tiles: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> keys: array<CachedPair>;
@group(0) @binding(4) var<storage, read> values: array<CachedPair>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

/// Of queries and of positions.
const TILE = 32u;
const LOWEST = -3.0e38;

/// 32 dimensions at a time. Exclusive or spreads what neighbours read at once over the banks.
/// [row][quad of dimensions]
var<workgroup> q_part: array<vec4<f32>, 256>;
/// [position][quad of dimensions ^ position / 4]
var<workgroup> k_part: array<vec4<f32>, 256>;
/// Then the weights. [row][quad of positions ^ row % 8]
var<workgroup> scores: array<vec4<f32>, 256>;
var<workgroup> largest: array<f32, TILE>;
var<workgroup> totals: array<f32, TILE>;
/// What the sums so far are multiplied by.
var<workgroup> factors: array<f32, TILE>;

fn score_at(row: u32, quad: u32) -> u32 {
  return row * 8u + (quad ^ (row & 7u));
}

fn key4(at: u32) -> vec4<f32> {
  return vec4<f32>(from_cache(keys[at]), from_cache(keys[at + 1u]));
}

fn value4(at: u32) -> vec4<f32> {
  return vec4<f32>(from_cache(values[at]), from_cache(values[at + 1u]));
}

fn add(
  sum: vec4<f32>, w: vec4<f32>, v0: vec4<f32>, v1: vec4<f32>, v2: vec4<f32>, v3: vec4<f32>,
) -> vec4<f32> {
  return sum + v0 * w.x + v1 * w.y + v2 * w.z + v3 * w.w;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let quads = HEAD_DIM / 4u;
  let tile = rows[params.tiles + group.y];
  let start = tile.w;
  /// Behind the last position that a row sees.
  let end = start + tile.y;
  let cached = (tile.z * KV_HEADS + group.x / (HEADS / KV_HEADS)) * CTX * 2u * quads;
  let source = tile.x * params.q_stride + params.q_column + group.x * quads;
  let scale = 1.0 / sqrt(f32(HEAD_DIM));
  let n = t % quads;
  let m = (t / quads) * 8u;
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  var s4 = vec4<f32>();
  var s5 = vec4<f32>();
  var s6 = vec4<f32>();
  var s7 = vec4<f32>();
  for (var r = t; r < TILE; r += THREADS) {
    largest[r] = LOWEST;
    totals[r] = 0.0;
  }
  for (var base = 0u; base < end; base += TILE) {
    let seen = min(TILE, end - base);
    for (var part = 0u; part < quads; part += 8u) {
      workgroupBarrier();
      for (var i = t; i < 256u; i += THREADS) {
        let r = i >> 3u;
        let k = i & 7u;
        var query = vec4<f32>();
        var key = vec4<f32>();
        if (part + k < quads) {
          query = q[source + r * params.q_stride + part + k] * scale;
          key = key4(cached + ((base + min(r, seen - 1u)) * quads + part + k) * 2u);
        }
        q_part[i] = query;
        k_part[r * 8u + (k ^ (r >> 2u))] = key;
      }
      workgroupBarrier();
      for (var i = t; i < 128u; i += THREADS) {
        let r = (i >> 3u) * 2u;
        let p = i & 7u;
        var a = vec4<f32>();
        var b = vec4<f32>();
        if (part > 0u) {
          a = scores[score_at(r, p)];
          b = scores[score_at(r + 1u, p)];
        }
        for (var k = 0u; k < 8u; k++) {
          let at = p * 32u + (k ^ p);
          let k0 = k_part[at];
          let k1 = k_part[at + 8u];
          let k2 = k_part[at + 16u];
          let k3 = k_part[at + 24u];
          let x = q_part[r * 8u + k];
          let y = q_part[r * 8u + 8u + k];
          a += vec4<f32>(dot(x, k0), dot(x, k1), dot(x, k2), dot(x, k3));
          b += vec4<f32>(dot(y, k0), dot(y, k1), dot(y, k2), dot(y, k3));
        }
        scores[score_at(r, p)] = a;
        scores[score_at(r + 1u, p)] = b;
      }
    }
    workgroupBarrier();
    for (var r = t; r < TILE; r += THREADS) {
      let sees = min(max(start + r + 1u, base) - base, seen);
      let before = largest[r];
      var most = before;
      for (var i = 0u; i < 8u; i++) {
        let inside = vec4<u32>(i * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(sees);
        let s = select(vec4<f32>(LOWEST), scores[score_at(r, i)], inside);
        most = max(most, max(max(s.x, s.y), max(s.z, s.w)));
      }
      var total = 0.0;
      for (var i = 0u; i < 8u; i++) {
        let inside = vec4<u32>(i * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(sees);
        let w = select(vec4<f32>(), exp(scores[score_at(r, i)] - most), inside);
        scores[score_at(r, i)] = w;
        total += w.x + w.y + w.z + w.w;
      }
      let factor = exp(before - most);
      largest[r] = most;
      totals[r] = totals[r] * factor + total;
      factors[r] = factor;
    }
    workgroupBarrier();
    s0 *= factors[m];
    s1 *= factors[m + 1u];
    s2 *= factors[m + 2u];
    s3 *= factors[m + 3u];
    s4 *= factors[m + 4u];
    s5 *= factors[m + 5u];
    s6 *= factors[m + 6u];
    s7 *= factors[m + 7u];
    for (var p = 0u; p < seen; p += 4u) {
      // Weights of what no row sees are 0, but nothing is known of what lies there.
      let last = end - 1u;
      let v0 = value4(cached + ((base + p) * quads + n) * 2u);
      let v1 = value4(cached + (min(base + p + 1u, last) * quads + n) * 2u);
      let v2 = value4(cached + (min(base + p + 2u, last) * quads + n) * 2u);
      let v3 = value4(cached + (min(base + p + 3u, last) * quads + n) * 2u);
      let i = p >> 2u;
      s0 = add(s0, scores[m * 8u + i], v0, v1, v2, v3);
      s1 = add(s1, scores[m * 8u + 8u + (i ^ 1u)], v0, v1, v2, v3);
      s2 = add(s2, scores[m * 8u + 16u + (i ^ 2u)], v0, v1, v2, v3);
      s3 = add(s3, scores[m * 8u + 24u + (i ^ 3u)], v0, v1, v2, v3);
      s4 = add(s4, scores[m * 8u + 32u + (i ^ 4u)], v0, v1, v2, v3);
      s5 = add(s5, scores[m * 8u + 40u + (i ^ 5u)], v0, v1, v2, v3);
      s6 = add(s6, scores[m * 8u + 48u + (i ^ 6u)], v0, v1, v2, v3);
      s7 = add(s7, scores[m * 8u + 56u + (i ^ 7u)], v0, v1, v2, v3);
    }
  }
  let to = tile.x * params.out_stride + group.x * quads + n;
  put(to, m, tile.y, s0);
  put(to, m + 1u, tile.y, s1);
  put(to, m + 2u, tile.y, s2);
  put(to, m + 3u, tile.y, s3);
  put(to, m + 4u, tile.y, s4);
  put(to, m + 5u, tile.y, s5);
  put(to, m + 6u, tile.y, s6);
  put(to, m + 7u, tile.y, s7);
}

fn put(to: u32, row: u32, count: u32, sum: vec4<f32>) {
  if (row < count) {
    out[to + row * params.out_stride] = sum / totals[row];
  }
}
