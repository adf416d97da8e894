#include "skim/skimmer.h"

#include "base/check.h"
#include "ops/interpolate.h"
#include "skim/cpu_run.h"

namespace l2l {
namespace {

void check_lengths(const std::string& name, const View<const std::int64_t, 1>& lengths, std::int64_t batch,
                   std::int64_t most) {
  if (lengths.data == nullptr) return;
  require(lengths.shape[0] == batch, name, ": expected shape [", batch, "], got ", shape_text(lengths));
  for (std::int64_t b = 0; b < batch; ++b) {
    require(lengths.data[b] >= 1 && lengths.data[b] <= most, name, ": value ", lengths.data[b], " of video ", b,
            " is not between 1 and ", most);
  }
}

void check_bank(const std::string& modality, const Bank& bank, std::int64_t batch, std::int64_t feature) {
  const std::string name = modality + "_bank";
  const std::string times_name = modality + "_times";
  const std::int64_t knots = bank.rows.shape[1];
  require(bank.rows.shape[0] == batch && knots >= 1 && bank.rows.shape[2] == feature, name,
          ": expected shape [", batch, ", at least 1, ", feature, "], got ", shape_text(bank.rows));
  require(bank.times.shape[0] == batch && bank.times.shape[1] == knots, times_name, ": expected shape [", batch,
          ", ", knots, "], got ", shape_text(bank.times));
  check_lengths(modality + "_lengths", bank.lengths, batch, knots);
  for (std::int64_t b = 0; b < batch; ++b) {
    check_knots(times_name.c_str(), bank.times.row(b), length_of(bank.lengths, b, knots), b);
  }
}

}  // namespace

Skimmer::Skimmer(const TensorMap& tensors, const Settings& settings, Isa isa, std::int64_t threads)
    : Skimmer(load_weights(tensors, settings), settings, isa, threads) {}

Skimmer::Skimmer(const Weights& weights, const Settings& settings, Isa isa, std::int64_t threads)
    : settings_(settings),
      visual_only_(weights.visual_only),
      model_(weights, settings, kernels_for(isa)),
      pool_(threads) {}

void Skimmer::check(const SkimInput& input) const {
  const std::int64_t batch = input.timestamps.shape[0];
  const std::int64_t moments = input.timestamps.shape[1];
  require(batch >= 1 && moments >= 1, "timestamps: expected shape [at least 1, at least 1], got ",
          shape_text(input.timestamps));
  require(input.steps >= 1 && input.steps <= kMaxSteps, "steps: ", input.steps, " is not between 1 and ",
          kMaxSteps);
  check_lengths("lengths", input.lengths, batch, moments);
  for (std::int64_t b = 0; b < batch; ++b) {
    check_finite("timestamps", input.timestamps.row(b), length_of(input.lengths, b, moments), b);
  }
  require(input.image.present() || input.audio.present(), "image_bank: neither modality is present");
  require(!visual_only_ || !input.audio.present(), "audio_bank: the weights are visual only");
  if (input.image.present()) check_bank("image", input.image, batch, model_.feature);
  if (input.audio.present()) check_bank("audio", input.audio, batch, model_.feature);
}

void Skimmer::run(const SkimInput& input, const SkimOutput& output) const {
  const auto run = std::make_shared<CpuRun>(model_, settings_, input, output);
  pool_.run(run);
  run->check_banks();
}

}  // namespace l2l
