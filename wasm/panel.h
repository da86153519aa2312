// Weight panels: 16 rows of a matrix, interleaved so that one vector holds 4 rows x 4 columns.
// Layouts: src/pack/forms.ts. Row quad v of a panel is its rows 4v..4v+3.
#pragma once
#include "kernel.h"

#define PANEL_HEADER_BYTES 32 // i8 exponents of the 16 rows' scales, then of their minima
#define SCALES_BYTES 32       // 16 i16, in front of a block's codes; 16 minima take as much
#define SHORT_SCALES_BYTES 16 // of q4s: 16 u8, or 16 minima of i8
#define Q4_CODES_BYTES 256
#define Q6_CODES_BYTES 384
#define Q8_CODES_BYTES 512
#define Q6_QUAD_BYTES 96 // one row quad of a q6 block

#define Q4_ZERO 8   // w = d * (q - 8)
#define Q8_ZERO 128 // w = d * (q - 128)

// One number for each of a panel's 16 rows: lane i of quad[v] is row 4v + i.
typedef struct {
  v128_t quad[4];
} panel_vector;

static inline panel_vector splat_panel(v128_t v) { return (panel_vector){{v, v, v, v}}; }

// 4 scales or minima in units of their rows.
static inline v128_t load_scales(const int16_t *p) { return wasm_f32x4_convert_i32x4(wasm_i32x4_load16x4(p)); }

// All 16 of a block.
static inline panel_vector load_panel_scales(const int16_t *p) {
#if WIDE // V8 13.6 and 14.1 join load16x4 wrongly
  const v128_t a = wasm_v128_load(p), b = wasm_v128_load(p + 8);
  return (panel_vector){{wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(a)),
                         wasm_f32x4_convert_i32x4(wasm_i32x4_extend_high_i16x8(a)),
                         wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(b)),
                         wasm_f32x4_convert_i32x4(wasm_i32x4_extend_high_i16x8(b))}};
#else
  return (panel_vector){{load_scales(p), load_scales(p + 4), load_scales(p + 8), load_scales(p + 12)}};
#endif
}

// The 16 scales (or minima: signed) of a block, of 32 bytes or of 16.
static ALWAYS_INLINE panel_vector load_panel_numbers(const uint8_t *p, uint32_t bytes, int32_t is_signed) {
  if (bytes != SHORT_SCALES_BYTES) return load_panel_scales((const int16_t *)p);
  const v128_t w = wasm_v128_load(p);
  const v128_t a = is_signed ? wasm_i16x8_extend_low_i8x16(w) : wasm_u16x8_extend_low_u8x16(w);
  const v128_t b = is_signed ? wasm_i16x8_extend_high_i8x16(w) : wasm_u16x8_extend_high_u8x16(w);
  return (panel_vector){{wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(a)),
                         wasm_f32x4_convert_i32x4(wasm_i32x4_extend_high_i16x8(a)),
                         wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(b)),
                         wasm_f32x4_convert_i32x4(wasm_i32x4_extend_high_i16x8(b))}};
}

// 2^e of a normal float.
static inline float power_of_two(int32_t e) { return f32_from_bits((uint32_t)(e + 127) << 23); }

// 2^e of 4 exponents of a panel's header: what the scales, or 16 bytes on the minima, of 4 rows are multiples of.
static inline v128_t powers_of_two(const uint8_t *exponents) {
  const v128_t e = wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(exponents)));
  return wasm_i32x4_shl(wasm_i32x4_add(e, wasm_i32x4_const_splat(127)), 23);
}

// y (16,) = d * 2^e + m * 2^e' with the exponents of `header`; y is added where `accumulate`; m is 0 where the form has none.
void store_panel(float *y, const panel_vector *d, const panel_vector *m, const uint8_t *header, int32_t accumulate);

// The codes of one row quad and one block: byte 4r + j of group[g] is row r, column 4g + j.
typedef struct {
  v128_t group[8];
} quad_codes;

static inline v128_t low_nibbles(v128_t w) { return wasm_v128_and(w, wasm_i8x16_const_splat(15)); }
static inline v128_t high_nibbles(v128_t w) {
  return wasm_v128_and(wasm_u16x8_shr(w, 4), wasm_i8x16_const_splat(15));
}

static inline quad_codes unpack_q4(const uint8_t *codes, int32_t quad) {
  quad_codes out;
  UNROLLED for (int g = 0; g < 4; g++) {
    const v128_t w = wasm_v128_load(codes + 64 * g + 16 * quad);
    out.group[g] = low_nibbles(w);
    out.group[4 + g] = high_nibbles(w);
  }
  return out;
}

static inline v128_t low_6_bits(v128_t w) { return wasm_v128_and(w, wasm_i8x16_const_splat(63)); }

// Three bytes carry a fourth 6-bit code in their top pairs of bits.
static inline v128_t top_pairs(v128_t a, v128_t b, v128_t c) {
  return wasm_v128_or(wasm_v128_or(wasm_v128_and(wasm_u16x8_shr(a, 6), wasm_i8x16_const_splat(3)),
                                   wasm_v128_and(wasm_u16x8_shr(b, 4), wasm_i8x16_const_splat(12))),
                      wasm_v128_and(wasm_u16x8_shr(c, 2), wasm_i8x16_const_splat(48)));
}

// Half of a block's columns: 4 of the groups.
typedef struct {
  v128_t group[4];
} half_codes;

#define Q6_HALF_BYTES 48

static inline half_codes unpack_q6_half(const uint8_t *codes) {
  const v128_t a = wasm_v128_load(codes), b = wasm_v128_load(codes + 16), c = wasm_v128_load(codes + 32);
  return (half_codes){{low_6_bits(a), low_6_bits(b), low_6_bits(c), top_pairs(a, b, c)}};
}

static inline quad_codes unpack_q6(const uint8_t *codes, int32_t quad) {
  quad_codes out;
  UNROLLED for (int half = 0; half < 2; half++) {
    const half_codes h = unpack_q6_half(codes + Q6_QUAD_BYTES * quad + Q6_HALF_BYTES * half);
    UNROLLED for (int g = 0; g < 4; g++) out.group[4 * half + g] = h.group[g];
  }
  return out;
}

static inline quad_codes unpack_q8(const uint8_t *codes, int32_t quad) {
  quad_codes out;
  UNROLLED for (int g = 0; g < 8; g++) out.group[g] = wasm_v128_load(codes + 64 * g + 16 * quad);
  return out;
}

// Bytes at even and odd places, as u16 lanes.
static inline v128_t even_bytes(v128_t w) { return wasm_v128_and(w, wasm_i16x8_const_splat(255)); }
static inline v128_t odd_bytes(v128_t w) { return wasm_u16x8_shr(w, 8); }
