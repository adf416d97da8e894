// The skimmer's CUDA path. Not yet run on a GPU: its kernels are tested on the host (tests/native, tests/kernels).
#pragma once

#include <cstddef>
#include <memory>

#include "ops/soft_index_cuda.h"
#include "skim/weights.h"

namespace l2l {

// How the kernels are launched. `persistent`: all steps in one cooperative launch, with weights kept in shared memory
// as far as there is room; otherwise a launch a phase. `projected`: see skim/cuda_run.h.
struct CudaGeometry {
  bool persistent = false, projected = false;
  int blocks = 0;
  int threads = 0;               // a block; a multiple of 32, at most 512
  std::size_t shared_bytes = 0;  // a block may have, in all
};

// All in device memory, lengths null where all are full. An absent modality's bank has no rows.
struct CudaSkimInput {
  CudaBank banks[2];  // image, audio
  const double* timestamps = nullptr;  // [B, N]
  const std::int64_t* lengths = nullptr;
  std::int64_t batch = 0, moments = 0, steps = 0;
};

struct CudaSkimOutput {
  float *logits = nullptr, *attention[2] = {}, *modality_scores = nullptr, *step_features = nullptr;
};

// Immutable after construction: any number of threads may call run() at once. The weights are on the device that was
// current then, which has to be current in every call.
class CudaSkimmer {
 public:
  // Throws std::invalid_argument naming the tensor at fault, cuda::DeviceError if the device fails.
  CudaSkimmer(const TensorMap& tensors, const Settings& settings);
  ~CudaSkimmer();

  const Settings& settings() const { return settings_; }
  std::int64_t feature_size() const { return feature_; }
  std::int64_t class_count() const { return classes_; }
  bool visual_only() const { return visual_only_; }

  // What suits the device and an input of these sizes.
  CudaGeometry geometry(const CudaSkimInput& input) const;
  // The same with the choices made; throws std::invalid_argument where the device cannot do it so.
  CudaGeometry geometry(const CudaSkimInput& input, bool persistent, bool projected) const;

  // Bytes of device memory that a run on such an input works in.
  std::size_t workspace_bytes(const CudaSkimInput& input, bool projected) const;

  // Queues the run on `stream` (a cudaStream_t); does not wait, so the launches can be captured in a graph. What it is
  // given stays alive until the stream is done. The same input gives the same bits in any batch, for one way of
  // launching. Sizes are checked by the caller; values in device memory are not: times that do not increase or
  // features that are not finite give a wrong result, and nothing worse.
  void run(const CudaSkimInput& input, const CudaSkimOutput& output, void* workspace, const CudaGeometry& geometry,
           void* stream) const;

 private:
  class Model;
  template <class T>
  class TypedModel;
  CudaSkimmer(const Weights& weights, const Settings& settings);

  const Settings settings_;
  const std::int64_t feature_, classes_;
  const bool visual_only_;
  std::unique_ptr<Model> model_;
};

}  // namespace l2l
