#include "skim/skimmer.h"

#include "base/check.h"
#include "skim/cpu_run.h"

namespace l2l {
Skimmer::Skimmer(const TensorMap& tensors, const Settings& settings, Isa isa, std::int64_t threads)
    : Skimmer(load_weights(tensors, settings), settings, isa, threads) {}

Skimmer::Skimmer(const Weights& weights, const Settings& settings, Isa isa, std::int64_t threads)
    : settings_(settings),
      visual_only_(weights.visual_only),
      model_(weights, settings, kernels_for(isa)),
      pool_(threads) {}

void Skimmer::check(const SkimInput& input) const {
  check_moments(input.timestamps, input.lengths);
  require(input.steps >= 1 && input.steps <= kMaxSteps, "steps: ", input.steps, " is not between 1 and ",
          kMaxSteps);
  require(input.image.present() || input.audio.present(), "image_bank: neither modality is present");
  require(!visual_only_ || !input.audio.present(), "audio_bank: the weights are visual only");
  if (input.image.present()) check_bank("image", input.image, input.timestamps.shape[0], model_.feature);
  if (input.audio.present()) check_bank("audio", input.audio, input.timestamps.shape[0], model_.feature);
}

void Skimmer::run(const SkimInput& input, const SkimOutput& output) const {
  const auto run = std::make_shared<CpuRun>(model_, settings_, input, output);
  pool_.run(run);
  run->check_banks();
}

}  // namespace l2l
