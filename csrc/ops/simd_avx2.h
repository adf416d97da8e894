// Eight floats in an AVX register. Included by one translation unit, built with AVX2, FMA and F16C.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace l2l {
namespace {

struct V {
  static constexpr std::int64_t kWidth = 8;
  static constexpr int kBatchTile = 2;  // 8 sums and 4 weights of 16 registers
  __m256 r;

  static V set(float x) { return {_mm256_set1_ps(x)}; }
  static V load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static V gather(const float* base, const std::int32_t* index) {
    return {_mm256_i32gather_ps(base, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index)), 4)};
  }
  void store(float* p) const { _mm256_storeu_ps(p, r); }
  float sum() const {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(r), _mm256_extractf128_ps(r, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
  float max() const {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(r), _mm256_extractf128_ps(r, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }
};
inline V operator+(V a, V b) { return {_mm256_add_ps(a.r, b.r)}; }
inline V operator-(V a, V b) { return {_mm256_sub_ps(a.r, b.r)}; }
inline V operator*(V a, V b) { return {_mm256_mul_ps(a.r, b.r)}; }
inline V operator/(V a, V b) { return {_mm256_div_ps(a.r, b.r)}; }
inline V fma(V a, V b, V c) { return {_mm256_fmadd_ps(a.r, b.r, c.r)}; }
inline V max(V a, V b) { return {_mm256_max_ps(a.r, b.r)}; }
inline V min(V a, V b) { return {_mm256_min_ps(a.r, b.r)}; }
// 2^n for n the low bits of `shifted` (see exp).
inline V pow2_bits(V shifted) {
  const __m256i n = _mm256_slli_epi32(_mm256_castps_si256(shifted.r), 23);
  return {_mm256_castsi256_ps(_mm256_add_epi32(n, _mm256_set1_epi32(0x3f800000)))};
}
// x where a >= b, else 0.
inline V keep_if_ge(V x, V a, V b) { return {_mm256_and_ps(_mm256_cmp_ps(a.r, b.r, _CMP_GE_OQ), x.r)}; }

// 2 * kWidth stored values and two registers. bf16 lies interleaved (a0 b0 a1 b1 ...), so that shifts
// take it apart; fp16 lies one register after the other. Rounding is to nearest even.
inline void load_bf16(const std::uint16_t* p, V& a, V& b) {
  const __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  a.r = _mm256_castsi256_ps(_mm256_slli_epi32(both, 16));
  b.r = _mm256_castsi256_ps(_mm256_and_si256(both, _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
}
inline void load_fp16(const std::uint16_t* p, V& a, V& b) {
  a.r = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  b.r = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)));
}
inline void store_bf16(std::uint16_t* p, V a, V b) {
  const auto rounded = [](V v) {
    const __m256i bits = _mm256_castps_si256(v.r);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    return _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  };
  const __m256i high = _mm256_and_si256(rounded(b), _mm256_set1_epi32(static_cast<int>(0xffff0000u)));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_or_si256(high, _mm256_srli_epi32(rounded(a), 16)));
}
inline void store_fp16(std::uint16_t* p, V a, V b) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.r, _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(b.r, _MM_FROUND_TO_NEAREST_INT));
}

}  // namespace
}  // namespace l2l
