// The kernels, written once over a register type V (simd_*.h). Included by one translation unit per
// instruction set, all in an unnamed namespace: nothing here may be shared between them, and nothing of
// the standard library that the linker could merge.
#pragma once

#include <cstdint>

#include "ops/kernels.h"

namespace l2l {
namespace {

// How each precision lies in memory: 2 * kWidth values to and from two registers, see simd_*.h.
struct Fp32 {
  using Stored = float;
  static void load2(const float* p, V& a, V& b) {
    a = V::load(p);
    b = V::load(p + V::kWidth);
  }
  static void store2(float* p, V a, V b) {
    a.store(p);
    b.store(p + V::kWidth);
  }
};
struct Bf16 {
  using Stored = std::uint16_t;
  static void load2(const std::uint16_t* p, V& a, V& b) { load_bf16(p, a, b); }
  static void store2(std::uint16_t* p, V a, V b) { store_bf16(p, a, b); }
};
struct Fp16 {
  using Stored = std::uint16_t;
  static void load2(const std::uint16_t* p, V& a, V& b) { load_fp16(p, a, b); }
  static void store2(std::uint16_t* p, V a, V b) { store_fp16(p, a, b); }
};

constexpr std::int64_t kPair = 2 * V::kWidth;
constexpr int kVectors = 4;  // registers of rows that a linear layer sums at a time

PanelLayout layout(Precision precision) { return {V::kWidth, precision == Precision::bf16}; }

// kVectors registers of rows of one panel, for kBatch inputs.
template <class S, int kBatch>
void linear_block(const LinearCall& call, const typename S::Stored* weight, std::int64_t row, std::int64_t batch) {
  V sum[kBatch][kVectors];
  for (int v = 0; v < kVectors; ++v) {
    const V bias = V::load(call.bias + row + v * V::kWidth);
    for (int b = 0; b < kBatch; ++b) sum[b][v] = bias;
  }
  const float* x = call.x + batch * call.x_stride;
  for (std::int64_t i = 0; i < call.in; i += 2, weight += 2 * kPanel) {
    for (int v = 0; v < kVectors; ++v) {
      V w0, w1;
      S::load2(weight + v * kPair, w0, w1);
      for (int b = 0; b < kBatch; ++b) {
        sum[b][v] = fma(w0, V::set(x[b * call.x_stride + i]), sum[b][v]);
        sum[b][v] = fma(w1, V::set(x[b * call.x_stride + i + 1]), sum[b][v]);
      }
    }
  }
  for (int b = 0; b < kBatch; ++b) {
    for (int v = 0; v < kVectors; ++v) {
      const V y = call.relu ? max(sum[b][v], V::set(0.0f)) : sum[b][v];
      y.store(call.y + (batch + b) * call.y_stride + row + v * V::kWidth);
    }
  }
}

template <class S, int kBatch>
void linear_batch(const LinearCall& call, std::int64_t panel, std::int64_t& batch) {
  const auto* weight = static_cast<const typename S::Stored*>(call.weight) + panel * kPanel * call.in;
  for (; batch + kBatch <= call.batch; batch += kBatch) {
    for (std::int64_t r = 0; r < kPanel; r += kVectors * V::kWidth) {
      linear_block<S, kBatch>(call, weight + 2 * r, panel * kPanel + r, batch);
    }
  }
}

template <class S>
void linear(const LinearCall& call) {
  for (std::int64_t panel = call.begin; panel < call.end; ++panel) {
    std::int64_t batch = 0;
    linear_batch<S, V::kBatchTile>(call, panel, batch);
    if constexpr (V::kBatchTile > 3) linear_batch<S, 3>(call, panel, batch);
    linear_batch<S, 1>(call, panel, batch);
  }
}

template <class S, int kRows>
void dots_block(const typename S::Stored* rows, std::int64_t stride, const float* query, float* scores) {
  V first[kRows], second[kRows];
  for (int r = 0; r < kRows; ++r) first[r] = second[r] = V::set(0.0f);
  for (std::int64_t i = 0; i < stride; i += kPair) {
    const V q0 = V::load(query + i);
    const V q1 = V::load(query + i + V::kWidth);
    for (int r = 0; r < kRows; ++r) {
      V a, b;
      S::load2(rows + r * stride + i, a, b);
      first[r] = fma(a, q0, first[r]);
      second[r] = fma(b, q1, second[r]);
    }
  }
  for (int r = 0; r < kRows; ++r) scores[r] = (first[r] + second[r]).sum();
}

template <class S>
void dots(Rows rows, const float* query, std::int64_t begin, std::int64_t end, float* scores) {
  const auto* data = static_cast<const typename S::Stored*>(rows.data);
  std::int64_t m = begin;
  for (; m + 4 <= end; m += 4) dots_block<S, 4>(data + m * rows.stride, rows.stride, query, scores + m);
  for (; m < end; ++m) dots_block<S, 1>(data + m * rows.stride, rows.stride, query, scores + m);
}

template <class S>
void weighted_sum(Rows rows, const float* weights, std::int64_t count, std::int64_t column, float* out) {
  constexpr std::int64_t kSums = kPad < 8 * V::kWidth ? kPad / V::kWidth : 8;
  const auto* data = static_cast<const typename S::Stored*>(rows.data);
  for (std::int64_t c = column; c < column + kPad; c += kSums * V::kWidth) {
    V sum[kSums];
    for (V& s : sum) s = V::set(0.0f);
    for (std::int64_t m = 0; m < count; ++m) {
      const V weight = V::set(weights[m]);
      for (std::int64_t k = 0; k < kSums; k += 2) {
        V a, b;
        S::load2(data + m * rows.stride + c + k * V::kWidth, a, b);
        sum[k] = fma(weight, a, sum[k]);
        sum[k + 1] = fma(weight, b, sum[k + 1]);
      }
    }
    for (std::int64_t k = 0; k < kSums; ++k) sum[k].store(out + c + k * V::kWidth);
  }
}

template <class S>
bool store(const float* from, std::int64_t size, void* to, std::int64_t stride) {
  auto* stored = static_cast<typename S::Stored*>(to);
  V nothing = V::set(0.0f);  // stays 0: x * 0 is NaN where x is not finite
  for (std::int64_t i = 0; i < stride; i += kPair) {
    float tail[kPair] = {};
    const float* source = from + i;
    if (i + kPair > size) {
      for (std::int64_t k = i; k < size; ++k) tail[k - i] = from[k];
      source = tail;
    }
    V a, b;
    S::store2(stored + i, V::load(source), V::load(source + V::kWidth));
    S::load2(stored + i, a, b);
    nothing = fma(a, V::set(0.0f), fma(b, V::set(0.0f), nothing));
  }
  return nothing.sum() == 0.0f;
}

// exp(x) by 2^n * e^r with |r| <= ln(2)/2; relative error 2e-7. 0 below -87, which includes -infinity.
V exp(V x) {
  const V shift = V::set(12582912.0f);  // 1.5 * 2^23: adding it leaves the rounded integer in the low bits
  const V clamped = min(max(x, V::set(-87.0f)), V::set(88.0f));
  const V shifted = fma(clamped, V::set(1.44269504f), shift);
  const V n = shifted - shift;
  const V r = fma(n, V::set(2.12194440e-4f), fma(n, V::set(-0.693359375f), clamped));
  V p = V::set(1.9875691500e-4f);
  p = fma(p, r, V::set(1.3981999507e-3f));
  p = fma(p, r, V::set(8.3334519073e-3f));
  p = fma(p, r, V::set(4.1665795894e-2f));
  p = fma(p, r, V::set(1.6666665459e-1f));
  p = fma(p, r, V::set(5.0000001201e-1f));
  p = fma(p, r * r, r + V::set(1.0f));
  return keep_if_ge(p * pow2_bits(shifted), x, V::set(-87.0f));
}

V sigmoid(V x) { return V::set(1.0f) / (V::set(1.0f) + exp(V::set(0.0f) - x)); }
V tanh(V x) { return fma(V::set(2.0f), sigmoid(x + x), V::set(-1.0f)); }

void lstm_cell(const float* gates, const float* recurrent, float* c, float* h) {
  for (std::int64_t u = 0; u < kUnits; u += V::kWidth) {
    V gate[4];
    for (int g = 0; g < 4; ++g) {
      gate[g] = V::load(gates + g * kUnits + u);
      if (recurrent != nullptr) gate[g] = gate[g] + V::load(recurrent + g * kUnits + u);
    }
    const V cell = fma(sigmoid(gate[1]), V::load(c + u), sigmoid(gate[0]) * tanh(gate[2]));
    cell.store(c + u);
    (sigmoid(gate[3]) * tanh(cell)).store(h + u);
  }
}

void interpolate_scores(const float* at_knots, const std::int32_t* lower, const float* fraction, std::int64_t count,
                        float* scores) {
  for (std::int64_t j = 0; j < count; j += V::kWidth) {
    const V low = V::gather(at_knots, lower + j);
    const V high = V::gather(at_knots + 1, lower + j);
    fma(V::load(fraction + j), high - low, low).store(scores + j);
  }
}

void softmax(float* scores, std::int64_t count) {
  const std::int64_t whole = (count + kPad - 1) / kPad * kPad;
  for (std::int64_t j = count; j < whole; ++j) scores[j] = -__builtin_inff();
  V highest = V::load(scores);
  for (std::int64_t j = 0; j < whole; j += V::kWidth) highest = max(highest, V::load(scores + j));
  const V top = V::set(highest.max());
  V sum = V::set(0.0f);
  for (std::int64_t j = 0; j < whole; j += V::kWidth) {
    const V e = exp(V::load(scores + j) - top);
    e.store(scores + j);
    sum = sum + e;
  }
  const V scale = V::set(1.0f / sum.sum());
  for (std::int64_t j = 0; j < whole; j += V::kWidth) (V::load(scores + j) * scale).store(scores + j);
}

void mix(float a, const float* x, float b, const float* y, std::int64_t count, float* out) {
  for (std::int64_t j = 0; j < count; j += V::kWidth) {
    fma(V::set(a), V::load(x + j), V::set(b) * V::load(y + j)).store(out + j);
  }
}

void lerp(const float* low, const float* high, float fraction, std::int64_t count, float* out) {
  std::int64_t i = 0;
  for (; i + V::kWidth <= count; i += V::kWidth) {
    const V base = V::load(low + i);
    fma(V::set(fraction), V::load(high + i) - base, base).store(out + i);
  }
  for (; i < count; ++i) out[i] = low[i] + fraction * (high[i] - low[i]);
}

void resample(const ResampleCall& call) {
  const std::int64_t whole = call.step / call.cycle, part = call.step % call.cycle;
  const bool exact = call.rows == call.cycle;
  const float* in = call.in;
  std::int64_t rest = call.rest;
  for (std::int64_t n = 0; n < call.count; ++n) {
    const float* taps = call.taps + (exact ? rest : rest * call.rows / call.cycle) * call.width;
    V sum = V::load(in) * V::load(taps);
    for (std::int64_t i = V::kWidth; i < call.width; i += V::kWidth) {
      sum = fma(V::load(in + i), V::load(taps + i), sum);
    }
    call.out[n] = sum.sum();
    in += whole;
    rest += part;
    if (rest >= call.cycle) {
      rest -= call.cycle;
      ++in;
    }
  }
}

constexpr Kernels table(Isa isa) {
  return {isa,
          layout,
          {linear<Fp32>, linear<Bf16>, linear<Fp16>},
          {dots<Fp32>, dots<Bf16>, dots<Fp16>},
          {weighted_sum<Fp32>, weighted_sum<Bf16>, weighted_sum<Fp16>},
          {store<Fp32>, store<Bf16>, store<Fp16>},
          lstm_cell,
          interpolate_scores,
          softmax,
          mix,
          lerp,
          resample};
}

}  // namespace
}  // namespace l2l
