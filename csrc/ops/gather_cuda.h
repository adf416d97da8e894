// Rows of a bank in another order, on the GPU. Not yet run on one: tested on the host (tests/native, tests/kernels).
#pragma once

#include <cstdint>

#include "base/cuda_launch.h"
#include "base/element.h"

namespace l2l {

// All in device memory.
struct CudaGatherInput {
  const void* features = nullptr;  // [B, M, D] of f32, f16 or bf16
  Element element = Element::f32;
  const std::int64_t* order = nullptr;  // [B, K]
  std::int64_t batch = 0, rows = 0, count = 0, size = 0;  // B, M, K, D
};

// out [B, K, D]: row k of video b is its row order[b, k]. The sizes are checked by the caller; values in device memory
// are not: for a number that no row has, the nearest that one has is taken. Queued on `stream` (a cudaStream_t) as one
// launch.
void gather_cuda(const CudaGatherInput& input, float* out, const CudaLaunch& size, void* stream);

}  // namespace l2l
