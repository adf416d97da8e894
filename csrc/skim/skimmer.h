// ImgAud-Skimming (Eq. 5-9): T steps over banks of knots, batched over videos.
#pragma once

#include <cstdint>

#include "base/view.h"
#include "skim/weights.h"

namespace l2l {

inline constexpr std::int64_t kMaxSteps = 1000;

// One modality's bank. `rows` is [B, M, D], `times` [B, M], `lengths` [B] or null for full rows; what
// lies past a video's length is never read. An absent modality has rows.data == nullptr.
struct Bank {
  View<const float, 3> rows;
  View<const double, 2> times;
  View<const std::int64_t, 1> lengths;
  bool present() const { return rows.data != nullptr; }
};

struct SkimInput {
  Bank image, audio;
  View<const double, 2> timestamps;     // [B, N]
  View<const std::int64_t, 1> lengths;  // [B] or null
  std::int64_t steps = 0;               // T
};

struct SkimOutput {
  View<float, 2> logits;                            // [B, C]
  View<float, 3> image_attention, audio_attention;  // [B, T, N]
  View<float, 3> modality_scores;                   // [B, T, 2]
  View<float, 3> step_features;                     // [B, T, D]
};

// Immutable after construction: run() may be called from any number of threads at once, and gives the
// same bits whatever the number of threads and whatever else is in the batch.
class Skimmer {
 public:
  // Throws std::invalid_argument naming the tensor at fault.
  Skimmer(const TensorMap& tensors, const Settings& settings);

  // Throws std::invalid_argument naming the argument at fault; call it before allocating the output.
  void check(const SkimInput& input) const;

  // `input` has passed check(); the output views have the sizes given above. Writes every element.
  void run(const SkimInput& input, const SkimOutput& output) const;

  const Weights& weights() const { return weights_; }
  const Settings& settings() const { return settings_; }

 private:
  Settings settings_;
  Weights weights_;
};

}  // namespace l2l
