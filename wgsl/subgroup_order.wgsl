enable subgroups;

// Counts the threads that are not where their index says: subgroup t / SUBGROUP, lane t % SUBGROUP.

override SUBGROUP: u32 = 32u;

@group(0) @binding(0) var<storage, read_write> misplaced: atomic<u32>;

@compute @workgroup_size(256)
fn main(
  @builtin(local_invocation_index) t: u32,
  @builtin(subgroup_invocation_id) lane: u32,
  @builtin(subgroup_size) size: u32,
) {
  let first = subgroupBroadcastFirst(t);
  if (size != SUBGROUP || lane != t % SUBGROUP || first != t - lane) {
    atomicAdd(&misplaced, 1u);
  }
}
