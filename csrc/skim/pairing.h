// Preset `paired`: every feature is joined with the other modality's at its time, before anything is skimmed.
#pragma once

#include <cstdint>

#include "base/cpu_features.h"
#include "base/half.h"
#include "base/thread_pool.h"
#include "base/view.h"
#include "ops/linear.h"
#include "skim/weights.h"

namespace l2l {

// Rows at the knots of B videos, [B, M, D]; null where a modality is absent.
struct PairingInput {
  View<const float, 3> image, heard;  // z^I at the image knots, z^A at their times
  View<const float, 3> seen, audio;   // z^I at the times of the audio knots, z^A there
};

struct PairingOutput {
  View<float, 3> image, audio;  // null where the input is
};

// z^I + Psi^I(z^I, z^A) and z^A + Psi^A(z^I, z^A), row by row; what is absent counts as zeros.
//
// Immutable after construction: run() may be called from any number of threads at once, and gives the same bits
// whatever the number of threads and whatever other rows there are.
class Pairing {
 public:
  // Throws std::invalid_argument naming the tensor at fault.
  Pairing(const TensorMap& tensors, Precision precision, Isa isa, std::int64_t threads);

  // Throws std::invalid_argument naming the argument at fault; call it before allocating the output.
  void check(const PairingInput& input) const;

  // `input` has passed check(); the output views are of the same shapes. Writes every element.
  void run(const PairingInput& input, const PairingOutput& output) const;

  std::int64_t feature_size() const { return feature_; }

  // One Psi, packed.
  struct Fusion {
    Fusion(const PairWeights& weights, std::int64_t feature, const Kernels& kernels, Precision precision);
    PackedLinear first, second;
  };

 private:
  Pairing(const PairingWeights& weights, Precision precision, const Kernels& kernels, std::int64_t threads);

  const std::int64_t feature_;
  const Fusion fusions_[2];  // image, audio
  mutable ThreadPool pool_;
};

}  // namespace l2l
