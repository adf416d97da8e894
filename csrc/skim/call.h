// What a run of the skimmer takes and gives, on any device, and the checks that all devices share.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/view.h"
#include "ops/soft_index_cuda.h"

namespace l2l {

inline constexpr std::int64_t kMaxSteps = 1000;

template <class AnyBank>
struct SkimInputOf {
  AnyBank banks[2];                     // image, audio
  View<const double, 2> timestamps;     // [B, N]
  View<const std::int64_t, 1> lengths;  // [B] or null
  std::int64_t steps = 0;               // T
};
using SkimInput = SkimInputOf<Bank>;
using CudaSkimInput = SkimInputOf<CudaBank>;  // all views are of device memory

// In the memory of the device that the run is on.
struct SkimOutput {
  View<float, 2> logits;           // [B, C], Eq. 9
  View<float, 3> attention[2];     // [B, T, N], image and audio: w of Eq. 6
  View<float, 3> modality_scores;  // [B, T, 2], (s^I, s^A) of Eq. 8
  View<float, 3> step_features;    // [B, T, D], Psi of what each step saw
  View<float, 3> step_logits;      // [B, T, C], Eq. 9 on the mean of the first t step features
};

// The sizes that an output has, and its name.
struct OutputShape {
  const char* name;
  std::vector<std::int64_t> extents;
};
constexpr std::size_t kOutputs = 6;
std::array<OutputShape, kOutputs> output_shapes(std::int64_t batch, std::int64_t moments, std::int64_t steps,
                                                std::int64_t classes, std::int64_t feature);
// The outputs that lie where `data` points, in the order of output_shapes(), which they have.
SkimOutput output_views(const std::array<OutputShape, kOutputs>& shapes, const std::array<float*, kOutputs>& data);

// Throw std::invalid_argument naming the argument at fault, for weights of D = `feature`: what can be told from steps,
// shapes and presence alone on any device; on the host, all but whether the features are finite.
void check_steps(std::int64_t steps);
void check_skim_input(const CudaSkimInput& input, std::int64_t feature, bool visual_only);
void check_skim_input(const SkimInput& input, std::int64_t feature, bool visual_only);

}  // namespace l2l
