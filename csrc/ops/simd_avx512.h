// Sixteen floats in an AVX-512 register. Included by one translation unit, built with those instructions.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace l2l {
namespace {

struct V {
  static constexpr std::int64_t kWidth = 16;
  static constexpr int kBatchTile = 6;  // 24 sums, 4 weights and a few spare of 32 registers
  __m512 r;

  static V set(float x) { return {_mm512_set1_ps(x)}; }
  static V load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static V gather(const float* base, const std::int32_t* index) {
    return {_mm512_i32gather_ps(_mm512_loadu_si512(index), base, 4)};
  }
  void store(float* p) const { _mm512_storeu_ps(p, r); }
  float sum() const { return _mm512_reduce_add_ps(r); }
  float max() const { return _mm512_reduce_max_ps(r); }
};
inline V operator+(V a, V b) { return {_mm512_add_ps(a.r, b.r)}; }
inline V operator-(V a, V b) { return {_mm512_sub_ps(a.r, b.r)}; }
inline V operator*(V a, V b) { return {_mm512_mul_ps(a.r, b.r)}; }
inline V operator/(V a, V b) { return {_mm512_div_ps(a.r, b.r)}; }
inline V fma(V a, V b, V c) { return {_mm512_fmadd_ps(a.r, b.r, c.r)}; }
inline V max(V a, V b) { return {_mm512_max_ps(a.r, b.r)}; }
inline V min(V a, V b) { return {_mm512_min_ps(a.r, b.r)}; }
// 2^n for n the low bits of `shifted` (see exp).
inline V pow2_bits(V shifted) {
  const __m512i n = _mm512_slli_epi32(_mm512_castps_si512(shifted.r), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(n, _mm512_set1_epi32(0x3f800000)))};
}
// x where a >= b, else 0.
inline V keep_if_ge(V x, V a, V b) { return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a.r, b.r, _CMP_GE_OQ), x.r)}; }

// 2 * kWidth stored values and two registers. bf16 lies interleaved (a0 b0 a1 b1 ...), so that shifts
// take it apart; fp16 lies one register after the other. Rounding is to nearest even.
inline void load_bf16(const std::uint16_t* p, V& a, V& b) {
  const __m512i both = _mm512_loadu_si512(p);
  a.r = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
  b.r = _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
}
inline void load_fp16(const std::uint16_t* p, V& a, V& b) {
  a.r = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  b.r = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 16)));
}
inline void store_bf16(std::uint16_t* p, V a, V b) {
  const auto rounded = [](V v) {
    const __m512i bits = _mm512_castps_si512(v.r);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    return _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  };
  const __m512i high = _mm512_and_si512(rounded(b), _mm512_set1_epi32(static_cast<int>(0xffff0000u)));
  _mm512_storeu_si512(p, _mm512_or_si512(high, _mm512_srli_epi32(rounded(a), 16)));
}
inline void store_fp16(std::uint16_t* p, V a, V b) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a.r, _MM_FROUND_TO_NEAREST_INT));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 16), _mm512_cvtps_ph(b.r, _MM_FROUND_TO_NEAREST_INT));
}

}  // namespace
}  // namespace l2l
