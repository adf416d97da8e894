// Linear layers, packed for the kernels: the fusion, the query layers, the gates of the LSTM, the classifier.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned.h"
#include "base/half.h"
#include "ops/kernels.h"

namespace l2l {

// y = W x + b, W [out, in] row-major.
struct Linear {
  std::int64_t out = 0;
  std::int64_t in = 0;
  std::vector<float> weight;
  std::vector<float> bias;
};

// A layer in panels (kernels.h), made of one or more layers on the same input. Immutable once packed.
class PackedLinear {
 public:
  PackedLinear() = default;
  // `out` and `in` are padded up; what no layer is placed on stays 0.
  PackedLinear(const Kernels& kernels, Precision precision, std::int64_t out, std::int64_t in);

  // Puts `layer` where its first output is row `row`. `input_part` is the width of the parts its input is
  // made of; each part starts on a padded boundary.
  void place(const Linear& layer, std::int64_t row, std::int64_t input_part);
  // The same for LSTM gates: panel p holds gates i, f, g, o of units [16 p, 16 p + 16).
  void place_gates(const Linear& layer, std::int64_t row);

  std::int64_t out() const { return out_; }
  std::int64_t in() const { return in_; }
  std::int64_t panels() const { return out_ / kPanel; }

  // y[b] = W x[b] + bias for the rows of panels [begin, end); x[b] and y[b] are a stride apart.
  void run(const float* x, std::int64_t x_stride, float* y, std::int64_t y_stride, std::int64_t batch,
           std::int64_t begin, std::int64_t end, bool relu) const;

 private:
  void put(std::int64_t row, std::int64_t column, float value);

  const Kernels* kernels_ = nullptr;
  Precision precision_ = Precision::fp32;
  PanelLayout layout_;
  std::int64_t out_ = 0, in_ = 0;
  AlignedVector<unsigned char> weight_;
  AlignedVector<float> bias_;
};

}  // namespace l2l
