#include "ops/linear.h"

#include <cstring>

namespace l2l {
namespace {

std::size_t value_size(Precision precision) { return precision == Precision::fp32 ? 4 : 2; }

}  // namespace

PackedLinear::PackedLinear(const Kernels& kernels, Precision precision, std::int64_t out, std::int64_t in)
    : kernels_(&kernels),
      precision_(precision),
      layout_(kernels.layout(precision)),
      out_(padded(out)),
      in_(padded(in)),
      weight_(static_cast<std::size_t>(out_ * in_) * value_size(precision), 0),
      bias_(static_cast<std::size_t>(out_), 0.0f) {}

void PackedLinear::put(std::int64_t row, std::int64_t column, float value) {
  const std::int64_t width = layout_.vector;
  const std::int64_t in_panel = row % kPanel;
  const std::int64_t lane = in_panel % width;
  const std::int64_t odd = column % 2;
  const std::int64_t index = row / kPanel * kPanel * in_ + column / 2 * 2 * kPanel + in_panel / width * 2 * width +
                             (layout_.interleaved ? 2 * lane + odd : odd * width + lane);
  unsigned char* to = &weight_[static_cast<std::size_t>(index) * value_size(precision_)];
  if (precision_ == Precision::fp32) {
    std::memcpy(to, &value, sizeof value);
  } else {
    const std::uint16_t half = precision_ == Precision::bf16 ? to_bf16(value) : to_fp16(value);
    std::memcpy(to, &half, sizeof half);
  }
}

void PackedLinear::place(const Linear& layer, std::int64_t row, std::int64_t input_part) {
  for (std::int64_t o = 0; o < layer.out; ++o) {
    bias_[static_cast<std::size_t>(row + o)] = layer.bias[static_cast<std::size_t>(o)];
    for (std::int64_t i = 0; i < layer.in; ++i) {
      put(row + o, i / input_part * padded(input_part) + i % input_part,
          layer.weight[static_cast<std::size_t>(o * layer.in + i)]);
    }
  }
}

void PackedLinear::place_gates(const Linear& layer, std::int64_t row) {
  const std::int64_t units = layer.out / 4;
  for (std::int64_t o = 0; o < layer.out; ++o) {
    const std::int64_t gate = o / units;
    const std::int64_t unit = o % units;
    const std::int64_t to = row + unit / kUnits * kPanel + gate * kUnits + unit % kUnits;
    bias_[static_cast<std::size_t>(to)] = layer.bias[static_cast<std::size_t>(o)];
    for (std::int64_t i = 0; i < layer.in; ++i) put(to, i, layer.weight[static_cast<std::size_t>(o * layer.in + i)]);
  }
}

void PackedLinear::run(const float* x, std::int64_t x_stride, float* y, std::int64_t y_stride, std::int64_t batch,
                       std::int64_t begin, std::int64_t end, bool relu) const {
  LinearCall call;
  call.weight = weight_.data();
  call.bias = bias_.data();
  call.in = in_;
  call.x = x;
  call.x_stride = x_stride;
  call.y = y;
  call.y_stride = y_stride;
  call.batch = batch;
  call.begin = begin;
  call.end = end;
  call.relu = relu;
  kernels_->linear[static_cast<int>(precision_)](call);
}

}  // namespace l2l
