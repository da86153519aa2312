// The best of a row's bests is its next token: it goes to the row's output, and the row becomes that of the next position.

override THREADS: u32 = 256u;

struct Params {
  count: u32,
  /// From one row of the bests to the next.
  stride: u32,
  /// Tokens that a row's output has room for; it is written round and round.
  room: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> bests: array<Best>;
@group(0) @binding(2) var<storage, read_write> rows: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> draws: array<Draw>;
@group(0) @binding(4) var<storage, read_write> chosen: array<u32>;

var<workgroup> kept: array<Best, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let row = group.y;
  var best = Best(LOWEST, NO_ID);
  for (var i = t; i < params.count; i += THREADS) {
    best = better(best, bests[row * params.stride + i]);
  }
  kept[t] = best;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half >>= 1u) {
    if (t < half) {
      kept[t] = better(kept[t], kept[t + half]);
    }
    workgroupBarrier();
  }
  if (t == 0u) {
    var token = kept[0].id;
    if (token == NO_ID) {
      token = 0u;
    }
    let at = draws[row].at;
    chosen[row * params.room + at] = token;
    draws[row].at = (at + 1u) % params.room;
    draws[row].index += 1u;
    let place = rows[row];
    rows[row] = vec4<u32>(token, place.y, place.z + 1u, place.w + 1u);
  }
}
