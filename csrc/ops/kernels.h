// The inner loops of the CPU path, built once for each instruction set and chosen at run time.
//
// Every side is padded to kPad, so no loop has a tail. Each output value is summed in one fixed order,
// whatever else is computed beside it: results do not depend on batch, blocking or threads.
#pragma once

#include <cstdint>

#include "base/cpu_features.h"
#include "base/half.h"
#include "base/padding.h"

namespace l2l {

// Rows of a linear layer that are stored and multiplied together.
inline constexpr std::int64_t kPanel = kPad;
// LSTM units whose four gates share a panel: rows i, f, g, o of 16 units each.
inline constexpr std::int64_t kUnits = 16;

// How a layer's weights lie in memory: panels of kPanel rows; in a panel, pairs of columns; in a pair,
// `vector` rows at a time, interleaved (row 0 column 0, row 0 column 1, row 1 column 0 ...) or not (all
// rows of column 0, then all of column 1).
struct PanelLayout {
  std::int64_t vector = 0;
  bool interleaved = false;
};

// A block of panels times a batch of vectors: y[b] = W x[b] + bias, rows [begin, end) in units of panels.
struct LinearCall {
  const void* weight = nullptr;
  const float* bias = nullptr;
  std::int64_t in = 0;
  const float* x = nullptr;
  std::int64_t x_stride = 0;
  float* y = nullptr;
  std::int64_t y_stride = 0;
  std::int64_t batch = 0;
  std::int64_t begin = 0, end = 0;
  bool relu = false;
};

// Rows in working precision, `stride` values apart.
struct Rows {
  const void* data = nullptr;
  std::int64_t stride = 0;
};

// Weighted sums of the samples around evenly spaced places (ops/resample.h). Output n reads `width` samples from
// floor((rest + n step) / cycle) on, weighted by the row of taps for the fraction that is left of that division.
struct ResampleCall {
  const float* in = nullptr;
  const float* taps = nullptr;  // [rows, width]
  std::int64_t rows = 0, width = 0;  // width a multiple of kUnits
  std::int64_t rest = 0, step = 0, cycle = 0;
  std::int64_t count = 0;
  float* out = nullptr;
};

struct Kernels {
  Isa isa;
  PanelLayout (*layout)(Precision);

  // Indexed by Precision.
  void (*linear[3])(const LinearCall&);
  // scores[m] = rows[m] . query, m in [begin, end).
  void (*dots[3])(Rows, const float* query, std::int64_t begin, std::int64_t end, float* scores);
  // out[d] = sum over m of weights[m] rows[m][d], m in [0, count), d in kPad columns from `column` on.
  void (*weighted_sum[3])(Rows, const float* weights, std::int64_t count, std::int64_t column, float* out);
  // One row of `size` floats to working precision, zero-padded to `stride`. False if a value is not finite there.
  bool (*store[3])(const float* from, std::int64_t size, void* to, std::int64_t stride);

  // `units` from gates[4 * kUnits] + recurrent[4 * kUnits] (null: zero) and c to the next c and h.
  void (*lstm_cell)(const float* gates, const float* recurrent, float* c, float* h);
  // scores[j] = at_knots[lower[j]] + fraction[j] * (the next knot's - that); j in [0, count), padded.
  void (*interpolate_scores)(const float* at_knots, const std::int32_t* lower, const float* fraction,
                             std::int64_t count, float* scores);
  // In place: exp(scores - max), normalised, over [0, count); zero up to the padding.
  void (*softmax)(float* scores, std::int64_t count);
  // out = a x + b y over [0, count), padded.
  void (*mix)(float a, const float* x, float b, const float* y, std::int64_t count, float* out);
  // out[i] = low[i] + fraction * (high[i] - low[i]), i in [0, count), any count.
  void (*lerp)(const float* low, const float* high, float fraction, std::int64_t count, float* out);
  void (*resample)(const ResampleCall&);
};

// The kernels for an instruction set this CPU has.
const Kernels& kernels_for(Isa isa);

// One a translation unit; only those that were built may be asked for.
extern const Kernels kPortableKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512Bf16Kernels;

}  // namespace l2l
