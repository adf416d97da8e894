// Four floats in the compiler's own vector type: SSE2 on x86-64, NEON on arm64, loops elsewhere.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/half.h"

namespace l2l {
namespace {

using Floats = float __attribute__((vector_size(16)));
using Words = std::int32_t __attribute__((vector_size(16)));

struct V {
  static constexpr std::int64_t kWidth = 4;
  static constexpr int kBatchTile = 2;
  Floats r;

  static V set(float x) { return {Floats{x, x, x, x}}; }
  static V load(const float* p) {
    V v;
    std::memcpy(&v.r, p, sizeof v.r);
    return v;
  }
  static V gather(const float* base, const std::int32_t* index) {
    return {Floats{base[index[0]], base[index[1]], base[index[2]], base[index[3]]}};
  }
  void store(float* p) const { std::memcpy(p, &r, sizeof r); }
  float sum() const { return (r[0] + r[2]) + (r[1] + r[3]); }
  float max() const {
    const float a = r[0] > r[2] ? r[0] : r[2];
    const float b = r[1] > r[3] ? r[1] : r[3];
    return a > b ? a : b;
  }
};
inline V operator+(V a, V b) { return {a.r + b.r}; }
inline V operator-(V a, V b) { return {a.r - b.r}; }
inline V operator*(V a, V b) { return {a.r * b.r}; }
inline V operator/(V a, V b) { return {a.r / b.r}; }
inline V fma(V a, V b, V c) { return {a.r * b.r + c.r}; }
inline V max(V a, V b) { return {a.r > b.r ? a.r : b.r}; }
inline V min(V a, V b) { return {a.r < b.r ? a.r : b.r}; }
// 2^n for n the low bits of `shifted` (see exp).
inline V pow2_bits(V shifted) {
  Words n;
  std::memcpy(&n, &shifted.r, sizeof n);
  n = (n << 23) + 0x3f800000;
  V v;
  std::memcpy(&v.r, &n, sizeof n);
  return v;
}
// x where a >= b, else 0.
inline V keep_if_ge(V x, V a, V b) { return {a.r >= b.r ? x.r : Floats{}}; }

// 2 * kWidth stored values and two registers. bf16 lies interleaved (a0 b0 a1 b1 ...), so that shifts
// take it apart; fp16 lies one register after the other. Rounding is to nearest even.
inline void load_bf16(const std::uint16_t* p, V& a, V& b) {
  Words both;
  std::memcpy(&both, p, sizeof both);
  const Words even = both << 16;
  const Words odd = both & static_cast<std::int32_t>(0xffff0000u);
  std::memcpy(&a.r, &even, sizeof even);
  std::memcpy(&b.r, &odd, sizeof odd);
}
inline void load_fp16(const std::uint16_t* p, V& a, V& b) {
  for (int i = 0; i < 4; ++i) {
    a.r[i] = from_fp16(p[i]);
    b.r[i] = from_fp16(p[i + 4]);
  }
}
inline void store_bf16(std::uint16_t* p, V a, V b) {
  for (int i = 0; i < 4; ++i) {
    p[2 * i] = to_bf16(a.r[i]);
    p[2 * i + 1] = to_bf16(b.r[i]);
  }
}
inline void store_fp16(std::uint16_t* p, V a, V b) {
  for (int i = 0; i < 4; ++i) {
    p[i] = to_fp16(a.r[i]);
    p[i + 4] = to_fp16(b.r[i]);
  }
}

}  // namespace
}  // namespace l2l
