// Linear interpolation in time on the GPU. Not yet run on one: tested on the host (tests/native, tests/kernels).
#pragma once

#include <cstdint>

#include "base/cuda_launch.h"
#include "base/element.h"

namespace l2l {

// All in device memory; see InterpolateInput.
struct CudaInterpolateInput {
  const void* features = nullptr;  // [B, M, D] of f32, f16 or bf16
  Element element = Element::f32;
  const double *knot_times = nullptr, *timestamps = nullptr;  // [B, M], [B, N]
  std::int64_t batch = 0, knots = 0, moments = 0, size = 0;
};

// out [B, N, D] = B features. The sizes are checked by the caller; values in device memory are not. Queued on
// `stream` (a cudaStream_t) as one launch.
void interpolate_cuda(const CudaInterpolateInput& input, float* out, const CudaLaunch& size, void* stream);

}  // namespace l2l
