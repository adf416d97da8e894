// Soft indexing on the GPU. Not yet run on one: tested on the host (tests/native, tests/kernels).
#pragma once

#include <cstdint>

#include "base/cuda_launch.h"
#include "base/element.h"
#include "base/half.h"
#include "base/view.h"

namespace l2l {

// One modality's bank in device memory: rows [B, M, D] of f32, f16 or bf16, times [B, M], lengths [B] or null for
// full rows. An absent modality has rows == nullptr.
struct CudaBank {
  const void* rows = nullptr;
  Element element = Element::f32;
  const double* times = nullptr;
  const std::int64_t* lengths = nullptr;
  std::int64_t knots = 0;
};

// One step of attention on its own, as SoftIndexInput has it; both banks are present.
struct CudaSoftIndexInput {
  CudaBank banks[2];                 // image, audio
  const double* timestamps = nullptr;  // [B, N]
  const std::int64_t* lengths = nullptr;
  std::int64_t batch = 0, moments = 0, size = 0;
  const float* queries[2] = {};               // [B, D]
  const float* modality_scores = nullptr;     // [B, 2]
  const unsigned char* excluded[2] = {};      // [B, N] or null
};

struct CudaSoftIndexOutput {
  float* features[2] = {};   // [B, D]
  float* attention[2] = {};  // [B, N]
};

// Bytes of device memory that it works in.
std::size_t soft_index_workspace_bytes(Precision precision, const CudaSoftIndexInput& input);

// Queued on `stream` (a cudaStream_t) as four launches; does not wait. The sizes fit and are checked by the caller;
// values in device memory are not: times that do not increase give a wrong result, and nothing worse.
void soft_index_cuda(Precision precision, const CudaSoftIndexInput& input, const CudaSoftIndexOutput& output,
                     void* workspace, const CudaLaunch& size, void* stream);

}  // namespace l2l
