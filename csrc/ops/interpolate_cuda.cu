#include "ops/interpolate_cuda.h"

#include "ops/interpolate_device.h"

namespace l2l {
namespace cuda {

// Columns [4 i, 4 i + 4) of a row, where rows begin on 16 bytes.
__device__ inline void blend_four(const float* low, const float* high, float fraction, float* out, std::int64_t i) {
  float from[4], to[4];
  load_values(low + 4 * i, from);
  load_values(high + 4 * i, to);
  store_four(out + 4 * i, from[0] + fraction * (to[0] - from[0]), from[1] + fraction * (to[1] - from[1]),
             from[2] + fraction * (to[2] - from[2]), from[3] + fraction * (to[3] - from[3]));
}

// A warp a row of the output: its lanes find the same knots and share the columns.
template <bool kFours>
__global__ void __launch_bounds__(kMostThreads) interpolate_kernel(CudaInterpolateInput call, float* out) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int knots = static_cast<int>(call.knots);
  for (std::int64_t row = grid_thread() / kWarp; row < call.batch * call.moments; row += grid_threads() / kWarp) {
    const std::int64_t video = row / call.moments;
    const double* times = call.knot_times + video * knots;
    const int after = first_after(times, knots, call.timestamps[row]);
    const float fraction = fraction_at(times, knots, after, call.timestamps[row]);
    const std::int64_t low = (video * knots + (after > 0 ? after - 1 : 0)) * call.size;
    const std::int64_t high = fraction == 0.0f ? low : low + call.size;
    if constexpr (kFours) {
      const auto* features = static_cast<const float*>(call.features);
      for (std::int64_t i = lane; i < call.size / 4; i += kWarp) {
        blend_four(features + low, features + high, fraction, out + row * call.size, i);
      }
    } else {
      for (std::int64_t i = lane; i < call.size; i += kWarp) {
        const float from = load_value(call.features, call.element, low + i);
        const float to = load_value(call.features, call.element, high + i);
        out[row * call.size + i] = from + fraction * (to - from);
      }
    }
  }
}

}  // namespace cuda

void interpolate_cuda(const CudaInterpolateInput& input, float* out, const CudaLaunch& size, void* stream) {
  const bool fours = input.element == Element::f32 && input.size % 4 == 0 && cuda::on_16_bytes(input.features) &&
                     cuda::on_16_bytes(out);
  const auto kernel = fours ? cuda::interpolate_kernel<true> : cuda::interpolate_kernel<false>;
  cuda::launch(kernel, cuda::shape_of(kernel, size, 0), static_cast<cuda::Stream>(stream), input, out);
}

}  // namespace l2l
