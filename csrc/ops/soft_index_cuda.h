// Soft indexing on the GPU. Not yet run on one: tested on the host (tests/native, tests/kernels).
#pragma once

#include <cstdint>

#include "base/cuda_launch.h"
#include "base/element.h"
#include "base/half.h"
#include "ops/soft_index.h"

namespace l2l {

// The most moments of a video, or knots of a bank: indices are kept in 32 bits, and the argmax in a float.
inline constexpr std::int64_t kMostCudaRows = 1 << 24;

// A bank in device memory, whose rows are of f32, f16 or bf16.
struct CudaBank : BankOf<void> {
  Element element = Element::f32;
};

// All views, and those of the output, are of device memory.
using CudaSoftIndexInput = SoftIndexInputOf<CudaBank>;

// Throw std::invalid_argument naming the argument at fault: what a device holds is checked by its shape alone. The
// second is for "timestamps", or for a modality's "_bank", whose shapes have passed.
void check_soft_index(const CudaSoftIndexInput& input);
void check_cuda_rows(const View<const double, 2>& timestamps, const CudaBank (&banks)[2]);

// Bytes of device memory that it works in.
std::size_t soft_index_workspace_bytes(Precision precision, const CudaSoftIndexInput& input);

// Queued on `stream` (a cudaStream_t) as four launches; does not wait. `input` has passed the check; values in device
// memory are not checked: times that do not increase give a wrong result, and nothing worse.
void soft_index_cuda(Precision precision, const CudaSoftIndexInput& input, const SoftIndexOutput& output,
                     void* workspace, const CudaLaunch& size, void* stream);

}  // namespace l2l
