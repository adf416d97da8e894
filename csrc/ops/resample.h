// Resampling of a track on a fixed grid: each output sample is one weighted sum, whoever asks for it.
#pragma once

#include <cstdint>

#include "base/cpu_features.h"
#include "base/view.h"

namespace l2l {

// Output n stands (rest + n step) / cycle input samples after the first place, and is the sum of the input samples
// from there on, one a tap. The fraction of that place chooses the row of taps, out of `taps.shape[0]`.
struct ResampleInput {
  View<const float, 1> samples;
  View<const float, 2> taps;
  std::int64_t rest = 0, step = 0, cycle = 0;
};

// Throws std::invalid_argument naming the argument at fault; `count` outputs must not reach past the samples.
void check_resample(const ResampleInput& input, std::int64_t count);

// out [count]. `input` has passed the check. Thread-safe; works on the caller's thread.
void resample(Isa isa, const ResampleInput& input, const View<float, 1>& out);

}  // namespace l2l
