// A matrix in panels of 16 rows, as docs/pack-format.md lays them out: 16 lanes read 16 bytes each of a unit (a
// block of 32 columns; 4 columns of bf16 and f32), and lane l has rows 4 (l & 3) to 4 (l & 3) + 3 of it.
// A form gives: panel_words(); unit_count(), unit_sums() and total() for matmul, where the op gives input4(column);
// panel_header() and cell() for tiles of rows, of quantized forms by codes(), four signed bytes each, and block_scales();
// element() for embed.

override COLS: u32;

/// What scales and minima of rows are multiplied by.
struct Sums {
  scaled: vec4<f32>,
  offset: vec4<f32>,
}

/// Of a panel's rows 4v to 4v + 3: what scales and minima of all blocks are multiplied by, or those of one.
struct Header {
  scales: vec4<f32>,
  minima: vec4<f32>,
}

@group(0) @binding(0) var<storage, read> weights: array<vec4<u32>>;
