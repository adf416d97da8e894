#include "skim/call.h"

#include "base/check.h"

namespace l2l {
namespace {

constexpr const char* kModalities[] = {"image", "audio"};

template <class AnyBank>
void check_shapes(const SkimInputOf<AnyBank>& input, std::int64_t feature, bool visual_only) {
  check_moment_shapes(input.timestamps, input.lengths);
  check_steps(input.steps);
  require(input.banks[0].present() || input.banks[1].present(), "image_bank: neither modality is present");
  require(!visual_only || !input.banks[1].present(), "audio_bank: the weights are visual only");
  for (int m = 0; m < 2; ++m) {
    if (!input.banks[m].present()) continue;
    check_bank_shapes(kModalities[m], input.banks[m], input.timestamps.shape[0], feature);
  }
}

template <std::size_t Rank>
View<float, Rank> output_view(const OutputShape& shape, float* data) {
  View<float, Rank> view{data, {}};
  for (std::size_t i = 0; i < Rank; ++i) view.shape[i] = shape.extents[i];
  return view;
}

}  // namespace

std::array<OutputShape, kOutputs> output_shapes(std::int64_t batch, std::int64_t moments, std::int64_t steps,
                                                std::int64_t classes, std::int64_t feature) {
  return {{{"logits", {batch, classes}},
           {"image_attention", {batch, steps, moments}},
           {"audio_attention", {batch, steps, moments}},
           {"modality_scores", {batch, steps, 2}},
           {"step_features", {batch, steps, feature}},
           {"step_logits", {batch, steps, classes}}}};
}

SkimOutput output_views(const std::array<OutputShape, kOutputs>& shapes, const std::array<float*, kOutputs>& data) {
  return {output_view<2>(shapes[0], data[0]),
          {output_view<3>(shapes[1], data[1]), output_view<3>(shapes[2], data[2])},
          output_view<3>(shapes[3], data[3]),
          output_view<3>(shapes[4], data[4]),
          output_view<3>(shapes[5], data[5])};
}

void check_steps(std::int64_t steps) {
  require(steps >= 1 && steps <= kMaxSteps, "steps: ", steps, " is not between 1 and ", kMaxSteps);
}

void check_skim_input(const CudaSkimInput& input, std::int64_t feature, bool visual_only) {
  check_shapes(input, feature, visual_only);
  check_cuda_rows(input.timestamps, input.banks);
}

void check_skim_input(const SkimInput& input, std::int64_t feature, bool visual_only) {
  check_shapes(input, feature, visual_only);
  check_moment_values(input.timestamps, input.lengths);
  for (int m = 0; m < 2; ++m) {
    if (input.banks[m].present()) check_bank_values(kModalities[m], input.banks[m]);
  }
}

}  // namespace l2l
