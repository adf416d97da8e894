#include "ops/interpolate_cuda.h"

#include "base/cuda.h"

namespace l2l {
namespace cuda {

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

struct InterpolateCall {
  const float* features;
  const double *knot_times, *timestamps;
  std::int64_t batch, moments, size;
  int knots;
  float* out;
};

// A warp a row of the output: its lanes find the same knots and share the columns.
__global__ void interpolate_kernel(InterpolateCall call) {
  const int knots = call.knots;
  const std::int64_t size = call.size;
  const std::int64_t warps = static_cast<std::int64_t>(gridDim.x) * blockDim.x / kWarp;
  const std::int64_t first = (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp;
  for (std::int64_t row = first; row < call.batch * call.moments; row += warps) {
    const std::int64_t video = row / call.moments;
    const double* times = call.knot_times + video * knots;
    const double time = call.timestamps[row];
    const int after = first_after(times, knots, time);
    const int lower = after > 0 ? after - 1 : 0;
    float fraction = 0.0f;
    if (after > 0 && after < knots) {
      fraction = static_cast<float>((time / 2 - times[lower] / 2) / (times[after] / 2 - times[lower] / 2));
    }
    const float* low = call.features + (video * knots + lower) * size;
    const float* high = fraction == 0.0f ? low : low + size;
    for (std::int64_t i = threadIdx.x % kWarp; i < size; i += kWarp) {
      call.out[row * size + i] = low[i] + fraction * (high[i] - low[i]);
    }
  }
}

}  // namespace cuda

void interpolate_cuda(const InterpolateInput& input, const View<float, 3>& out, int blocks, int threads,
                      void* stream) {
  const cuda::InterpolateCall call{input.features.data,          input.knot_times.data,      input.timestamps.data,
                                   input.features.shape[0],      input.timestamps.shape[1], input.features.shape[2],
                                   static_cast<int>(input.features.shape[1]), out.data};
  cuda::launch(cuda::interpolate_kernel, {blocks, threads, 0, false}, static_cast<cuda::Stream>(stream), call);
}

}  // namespace l2l
