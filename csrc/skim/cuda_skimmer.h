// The skimmer's CUDA path. Not yet run on a GPU: its kernels are tested on the host (tests/native, tests/kernels).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "skim/call.h"
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

// One phase of a run; `step` is -1 before and after all steps.
struct CudaPhase {
  const char* name;
  int step;
};
// Of what a block keeps of its weights in shared memory: so many rows of so many that a step reads.
struct CudaKept {
  int rows = 0, of = 0;
};

// An input of such sizes that holds nothing, which is enough to ask for geometry() and workspace_bytes(); a modality of
// 0 knots is absent. Throws std::invalid_argument naming the size that is out of range.
CudaSkimInput sized_input(std::int64_t batch, std::int64_t moments, std::int64_t image_knots, std::int64_t audio_knots,
                          std::int64_t steps);

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

  // Throws std::invalid_argument naming the argument at fault; call it before allocating the output.
  void check(const CudaSkimInput& input) const { check_skim_input(input, feature_, visual_only_); }

  // What suits the device and an input of these sizes, with the choices that are made already. Throws
  // std::invalid_argument where the device cannot do as was chosen.
  CudaGeometry geometry(const CudaSkimInput& input, std::optional<bool> persistent = {},
                        std::optional<bool> projected = {}) const;

  // Bytes of device memory that a run on such an input works in.
  std::size_t workspace_bytes(const CudaSkimInput& input, bool projected) const;
  // Throws std::invalid_argument unless a run can work in `bytes` at `workspace`.
  void check_workspace(const CudaSkimInput& input, bool projected, const void* workspace, std::size_t bytes) const;

  // Queues the run on `stream` (a cudaStream_t); does not wait, so the launches can be captured in a graph. What it
  // is given stays alive until the stream is done. The same input gives the same bits in any batch, for one way of
  // launching. `input` has passed check(), and the output has the shapes of output_shapes(). Values in device memory
  // are not checked: times that do not increase or features that are not finite give a wrong result, and nothing
  // worse.
  //
  // With `times`, nanoseconds [phases, blocks, 2] in device memory, every block writes when it began and ended each of
  // phases(); that takes a build with L2L_PHASE_TIMES, and cuda::DeviceError is thrown by one without.
  void run(const CudaSkimInput& input, const SkimOutput& output, void* workspace, const CudaGeometry& geometry,
           void* stream, unsigned long long* times = nullptr) const;

  // What is timed: the loading of weights that are kept, then what the run is made of.
  std::vector<CudaPhase> phases(const CudaSkimInput& input, bool projected) const;
  // What a persistent run keeps.
  CudaKept kept(const CudaSkimInput& input, const CudaGeometry& geometry) const;

 private:
  class Model;
  template <class T>
  class TypedModel;
  CudaSkimmer(const Weights& weights, const Settings& settings);
  CudaGeometry chosen_geometry(const CudaSkimInput& input) const;
  CudaGeometry made_geometry(const CudaSkimInput& input, bool persistent, bool projected) const;

  const Settings settings_;
  const std::int64_t feature_, classes_;
  const bool visual_only_;
  std::unique_ptr<Model> model_;
};

}  // namespace l2l
