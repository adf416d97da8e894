// Preset `paired` on the GPU: the banks are joined in three launches a modality before they are skimmed.
#pragma once

#include "ops/interpolate_device.h"
#include "ops/soft_index_device.h"

namespace l2l::cuda {

// Psi^m.
template <class T>
struct DevicePair {
  Layer<T> first, second;
};

// One modality's way through its Psi. `both` is [B, knots, 2 padded D], its rows [z^I, z^A] padded with zeros.
struct PairSide {
  BankSource own, other;  // no rows of the other: zeros
  int part = 0;         // of Psi's input that is its own: 0 for images, 1 for sound
  long long rows = 0;   // B knots
  float *both = nullptr, *hidden = nullptr, *joined = nullptr;
};

// Psi^m's inputs, a warp a row: its own part as it is, and the other modality's between two of its knots.
static __global__ void __launch_bounds__(kMostThreads) pair_kernel(PairSide side, int size, int width) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int knots = side.own.knots, others = side.other.knots;
  for (long long row = grid_warp(); row < side.rows; row += grid_warps()) {
    const int video = static_cast<int>(row / knots);
    const bool valid = row % knots < length_of(side.own.lengths, video, knots);
    const bool both = valid && side.other.source != nullptr;
    const int count = both ? length_of(side.other.lengths, video, others) : 0;
    long long low = 0, high = 0;
    float fraction = 0.0f;
    if (count > 0) {
      const double* times = side.other.times + static_cast<long long>(video) * others;
      const int after = first_after(times, count, side.own.times[row]);
      fraction = fraction_at(times, count, after, side.own.times[row]);
      low = (static_cast<long long>(video) * others + (after > 0 ? after - 1 : 0)) * size;
      high = fraction == 0.0f ? low : low + size;
    }
    float* own = side.both + (2 * row + side.part) * width;
    float* other = side.both + (2 * row + 1 - side.part) * width;
    for (int i = lane; i < width; i += kWarp) {
      own[i] = valid && i < size ? load_value(side.own.source, side.own.element, row * size + i) : 0.0f;
      other[i] = 0.0f;
      if (count == 0 || i >= size) continue;
      const float from = load_value(side.other.source, side.other.element, low + i);
      other[i] = from + fraction * (load_value(side.other.source, side.other.element, high + i) - from);
    }
  }
}

// For many rows x: y = ReLU(layer x), or with `kAdding` layer x + added. A warp makes an output of kTogether rows;
// columns from the layer's last up to `filled` get 0.
template <class T, bool kAdding>
__global__ void __launch_bounds__(kMostThreads) rows_kernel(Layer<T> layer, const float* x, long long rows,
                                                            const float* added, int added_stride, float* y,
                                                            int filled) {
  const long long groups = (rows + kTogether - 1) / kTogether;
  for (long long i = grid_thread() / kWarp; i < groups * filled; i += grid_threads() / kWarp) {
    const int out = static_cast<int>(i % filled);
    const long long first = i / filled * kTogether;
    const int together = rows - first < kTogether ? static_cast<int>(rows - first) : kTogether;
    float sums[kTogether] = {};
    if (out < layer.out) {
      add_dots(layer.weight + static_cast<long long>(out) * layer.stride, x + first * layer.in, layer.in, together,
               layer.in, sums);
    }
    for (int j = 0; j < together; ++j) {
      const float sum = warp_sum(sums[j]) + (out < layer.out ? layer.bias[out] : 0.0f);
      if (threadIdx.x % kWarp != 0) continue;
      const long long row = first + j;
      y[row * filled + out] = kAdding ? sum + added[row * added_stride + out] : fmaxf(sum, 0.0f);
    }
  }
}

}  // namespace l2l::cuda
