// The skimmer's CUDA path. Not yet run on a GPU: its kernels are tested on the host (tests/native).
#pragma once

#include <cstddef>
#include <memory>

#include "skim/skimmer.h"

namespace l2l {

// How the kernels are launched. The persistent way runs all steps in one cooperative launch and keeps weights
// in shared memory as far as there is room; the plain way is a launch a phase.
struct CudaGeometry {
  bool persistent = false;
  int blocks = 0;
  int threads = 0;               // a block; a multiple of 32
  std::size_t shared_bytes = 0;  // for weights, a block
};

// Immutable after construction. The weights are on the device that was current then.
class CudaSkimmer {
 public:
  // Throws std::invalid_argument naming the tensor at fault, std::runtime_error if the device fails.
  CudaSkimmer(const TensorMap& tensors, const Settings& settings);
  ~CudaSkimmer();

  // What suits the device and a batch of this size.
  CudaGeometry geometry(std::int64_t batch) const;

  // Bytes of device memory that a run on such an input works in.
  std::size_t workspace_bytes(const SkimInput& input) const;

  // Queues the run on `stream` (a cudaStream_t); does not wait, so the launches can be captured in a graph.
  // All views, lengths and the workspace are device memory and stay alive until the stream is done; their
  // shapes fit, times and features are finite and knots increase, none of which is checked here.
  void run(const SkimInput& input, const SkimOutput& output, void* workspace, const CudaGeometry& geometry,
           void* stream) const;

 private:
  class Model;
  template <class T>
  class TypedModel;
  std::unique_ptr<Model> model_;
};

}  // namespace l2l
