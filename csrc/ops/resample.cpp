#include "ops/resample.h"

#include <algorithm>

#include "base/aligned.h"
#include "base/check.h"
#include "ops/kernels.h"

namespace l2l {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 31;  // keeps every product below within 64 bits

std::int64_t last_place(const ResampleInput& input, std::int64_t count) {
  return (input.rest + (count - 1) * input.step) / input.cycle;
}

}  // namespace

void check_resample(const ResampleInput& input, std::int64_t count) {
  const std::int64_t rows = input.taps.shape[0], width = input.taps.shape[1];
  require(rows >= 1 && width >= 1 && rows < kMost, "taps: expected at least one row and one column");
  require(input.cycle >= 1 && input.cycle < kMost, "cycle: out of range");
  require(input.step >= 1 && input.step < kMost, "step: out of range");
  require(input.rest >= 0 && input.rest < input.cycle, "rest: out of range");
  require(count >= 1 && count < kMost, "count: out of range");
  require(last_place(input, count) + width <= input.samples.shape[0], "samples: too few for ", count, " outputs");
}

void resample(Isa isa, const ResampleInput& input, const View<float, 1>& out) {
  const std::int64_t rows = input.taps.shape[0], width = input.taps.shape[1], count = out.shape[0];
  const std::int64_t whole = (width + kUnits - 1) / kUnits * kUnits;
  // Both are copied, so that whole registers may be read: a tap that is not there weighs nothing.
  AlignedVector<float> taps(static_cast<std::size_t>(rows * whole), 0.0f);
  for (std::int64_t row = 0; row < rows; ++row) {
    std::copy_n(input.taps.row(row), width, &taps[static_cast<std::size_t>(row * whole)]);
  }
  const std::int64_t used = last_place(input, count) + width;
  AlignedVector<float> samples(static_cast<std::size_t>(used + whole - width), 0.0f);
  std::copy_n(input.samples.data, used, samples.data());
  ResampleCall call;
  call.in = samples.data();
  call.taps = taps.data();
  call.rows = rows;
  call.width = whole;
  call.rest = input.rest;
  call.step = input.step;
  call.cycle = input.cycle;
  call.count = count;
  call.out = out.data;
  kernels_for(isa).resample(call);
}

}  // namespace l2l
