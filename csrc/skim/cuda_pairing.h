// The CUDA path of preset `paired`. Not yet run on a GPU: its kernels are tested on the host (tests/native,
// tests/kernels).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/cuda_launch.h"
#include "base/half.h"
#include "skim/weights.h"

namespace l2l {

// Banks in device memory: features [B, M, D] at the knots and their times [B, M]; no rows where a modality is absent.
struct CudaPairingInput {
  struct Side {
    const float* rows = nullptr;
    const double* times = nullptr;
    std::int64_t knots = 0;
  };
  Side sides[2];  // image, audio
  std::int64_t batch = 0;
};

// See Pairing (skim/pairing.h). Immutable after construction: any number of threads may call run() at once. The weights
// are on the device that was current then, which has to be current in every call.
class CudaPairing {
 public:
  // Throws std::invalid_argument naming the tensor at fault, cuda::DeviceError if the device fails.
  CudaPairing(const TensorMap& tensors, Precision precision);
  ~CudaPairing();

  std::int64_t feature_size() const { return feature_; }

  // Bytes of device memory that a run on such an input works in.
  std::size_t workspace_bytes(const CudaPairingInput& input) const;

  // Queues the run on `stream` (a cudaStream_t); does not wait. out[m] is of the shape of side m's rows, and none of
  // them. Sizes are checked by the caller; times that do not increase give a wrong result, and nothing worse.
  void run(const CudaPairingInput& input, float* const out[2], void* workspace, const CudaLaunch& size,
           void* stream) const;

 private:
  class Model;
  template <class T>
  class TypedModel;
  CudaPairing(const PairingWeights& weights, Precision precision);

  const std::int64_t feature_;
  std::unique_ptr<Model> model_;
};

}  // namespace l2l
