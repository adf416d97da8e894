// Linear interpolation in time on the GPU. Not yet run on one: tested on the host (tests/native).
#pragma once

#include "ops/interpolate.h"

namespace l2l {

// out [B, N, D] = B features, all in device memory; the shapes fit, times are finite and knots increase. Queued on
// `stream` (a cudaStream_t) as one launch of `blocks` blocks of `threads` threads (a multiple of 32).
void interpolate_cuda(const InterpolateInput& input, const View<float, 3>& out, int blocks, int threads, void* stream);

}  // namespace l2l
