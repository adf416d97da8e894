// Where times lie among knots, on the GPU; see ops/interpolate.h.
#pragma once

#include "base/cuda.h"

namespace l2l::cuda {

// The first of `count` increasing knots that is later than `time`, or `count`.
__device__ inline int first_after(const double* knots, int count, double time) {
  int begin = 0, end = count;
  while (begin < end) {
    const int middle = (begin + end) / 2;
    if (knots[middle] <= time) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

// How far `time` lies from knot `after` - 1 to knot `after`; 0 on a knot and outside of all.
__device__ inline float fraction_at(const double* knots, int count, int after, double time) {
  if (after == 0 || after == count) return 0.0f;
  // Halves keep the difference of two finite times finite.
  const double low = knots[after - 1] / 2;
  return static_cast<float>((time / 2 - low) / (knots[after] / 2 - low));
}

// The row of `width` values at a moment: interpolated between the two knots around it.
__device__ inline float between(const float* at_knots, long long width, int lower, float fraction) {
  const float low = at_knots[lower * width];
  return fraction == 0.0f ? low : low + fraction * (at_knots[(lower + 1) * width] - low);
}

}  // namespace l2l::cuda
