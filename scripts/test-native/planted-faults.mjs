/**
 * Faults as a slip of the pen makes them, in each family of kernels: the random rounds must find every one. A fault is
 * built from a patched copy of wasm/; the tree's own files stay as they are.
 */

/** `unit` is the file to compile, `file` the one with the fault, where that is a header. */
export const PLANTED_FAULTS = [
  { unit: "add.c", from: "i + 4 <= n", to: "i + 3 <= n" },
  { unit: "rms_norm.c", from: "dim & ~7;", to: "(dim + 1) & ~7;" },
  { unit: "quantize.c", from: "b = 0; b < blocks;", to: "b = 0; b <= blocks;" },
  { unit: "kv_store.c", from: "d < head_dim ? v[d]", to: "d <= head_dim ? v[d]" },
  { unit: "matmul_float.c", from: "t + 4 <= tokens", to: "t + 3 <= tokens" },
  { unit: "embed.c", from: "ids[t] % PANEL_ROWS;", to: "(ids[t] + 1) % PANEL_ROWS;" },
  { unit: "gemm.c", from: "t < tokens", to: "t <= tokens" },
  {
    unit: "attention_int.c",
    file: "attention_prefill.h",
    from: "seen + W - 1 : length) / W",
    to: "seen + W : length) / W",
  },
];
