// Adds up what the threads of a workgroup have of a panel: threads with equal t & 3 have the same four rows.

override THREADS: u32 = 64u;

/// Threads that add up in the first round and in the second: barriers cost more than a few additions.
const FIRST_ADDERS = 32u;
const LAST_ADDERS = 8u;

var<workgroup> sums: array<vec4<f32>, THREADS>;
var<workgroup> beside: array<vec4<f32>, THREADS>;

fn add_up(t: u32, adders: u32, count: u32) {
  if (t < adders) {
    var sum = sums[t];
    var other = beside[t];
    for (var i = t + adders; i < count; i += adders) {
      sum += sums[i];
      other += beside[i];
    }
    sums[t] = sum;
    beside[t] = other;
  }
  workgroupBarrier();
}

/// After it `row_sum`, `row_beside` and `all_beside` give sums, until the next one.
fn reduce(t: u32, own: vec4<f32>, own_beside: vec4<f32>) {
  workgroupBarrier();
  sums[t] = own;
  beside[t] = own_beside;
  workgroupBarrier();
  add_up(t, FIRST_ADDERS, THREADS);
  add_up(t, LAST_ADDERS, FIRST_ADDERS);
}

/// Of the panel's row `row`.
fn row_sum(row: u32) -> f32 {
  let v = row >> 2u;
  return (sums[v] + sums[v + 4u])[row & 3u];
}

fn row_beside(row: u32) -> f32 {
  let v = row >> 2u;
  return (beside[v] + beside[v + 4u])[row & 3u];
}

/// Of all threads.
fn all_beside() -> vec4<f32> {
  return (beside[0] + beside[4]) + (beside[1] + beside[5]) + (beside[2] + beside[6]) +
    (beside[3] + beside[7]);
}
