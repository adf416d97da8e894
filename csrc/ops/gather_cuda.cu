#include "ops/gather_cuda.h"

#include "base/cuda.h"

namespace l2l {
namespace cuda {

// A warp a row of the output; in steps of 16 bytes (kFours) where all rows begin on 16.
template <bool kFours>
__global__ void __launch_bounds__(kMostThreads) gather_kernel(CudaGatherInput call, float* out) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (std::int64_t row = grid_warp(); row < call.batch * call.count; row += grid_warps()) {
    const std::int64_t asked = call.order[row], last = call.rows - 1;
    const std::int64_t found = asked < 0 ? 0 : (asked > last ? last : asked);
    const std::int64_t from = (row / call.count * call.rows + found) * call.size;
    float* to = out + row * call.size;
    if constexpr (kFours) {
      const float* features = static_cast<const float*>(call.features) + from;
      for (std::int64_t i = 4 * lane; i < call.size; i += 4 * kWarp) copy_words(to + i, features + i);
    } else {
      for (std::int64_t i = lane; i < call.size; i += kWarp) to[i] = load_value(call.features, call.element, from + i);
    }
  }
}

}  // namespace cuda

void gather_cuda(const CudaGatherInput& input, float* out, const CudaLaunch& size, void* stream) {
  const bool fours = input.element == Element::f32 && input.size % 4 == 0 && cuda::on_16_bytes(input.features) &&
                     cuda::on_16_bytes(out);
  const auto kernel = fours ? cuda::gather_kernel<true> : cuda::gather_kernel<false>;
  cuda::launch(kernel, cuda::shape_of(kernel, size, 0), static_cast<cuda::Stream>(stream), input, out);
}

}  // namespace l2l
