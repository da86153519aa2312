enable subgroups;

// As reduce.wgsl, first among the threads of a subgroup, which need no barrier for it. Only for adapters whose subgroups
// have one size, take threads in their order, and divide THREADS.

override THREADS: u32 = 64u;
/// Threads of a subgroup.
override SUBGROUP: u32 = 32u;

var<workgroup> sums: array<vec4<f32>, THREADS>;
var<workgroup> beside: array<vec4<f32>, THREADS>;

/// After it `row_sum`, `row_beside` and `all_beside` give sums, until the next one.
fn reduce(t: u32, own: vec4<f32>, own_beside: vec4<f32>) {
  var sum = own;
  var other = own_beside;
  // Threads with equal t & 3 have the same four rows.
  for (var step = 4u; step < SUBGROUP; step <<= 1u) {
    sum += subgroupShuffleXor(sum, step);
    other += subgroupShuffleXor(other, step);
  }
  workgroupBarrier();
  if (t % SUBGROUP < 4u) {
    let at = t / SUBGROUP * 4u + (t & 3u);
    sums[at] = sum;
    beside[at] = other;
  }
  workgroupBarrier();
}

/// Of the panel's row `row`.
fn row_sum(row: u32) -> f32 {
  var sum = 0.0;
  for (var i = row >> 2u; i < THREADS / SUBGROUP * 4u; i += 4u) {
    sum += sums[i][row & 3u];
  }
  return sum;
}

fn row_beside(row: u32) -> f32 {
  var sum = 0.0;
  for (var i = row >> 2u; i < THREADS / SUBGROUP * 4u; i += 4u) {
    sum += beside[i][row & 3u];
  }
  return sum;
}

/// Of all threads.
fn all_beside() -> vec4<f32> {
  var sum = vec4<f32>();
  for (var i = 0u; i < THREADS / SUBGROUP * 4u; i++) {
    sum += beside[i];
  }
  return sum;
}
