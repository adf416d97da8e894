#include "skim/skimmer.h"

#include <cmath>

#include "base/check.h"
#include "ops/interpolate.h"
#include "skim/skim_cpu.h"

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
    const std::int64_t count = length_of(bank.lengths, b, knots);
    check_knots(times_name.c_str(), bank.times.row(b), count, b);
    const float* values = bank.rows.row(b);
    for (std::int64_t i = 0; i < count * feature; ++i) {
      require(std::isfinite(values[i]), name, ": row ", i / feature, " of video ", b, " is not finite");
    }
  }
}

}  // namespace

Skimmer::Skimmer(const TensorMap& tensors, const Settings& settings)
    : settings_(settings), weights_(load_weights(tensors, settings)) {}

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
  require(!weights_.visual_only || !input.audio.present(), "audio_bank: the weights are visual only");
  if (input.image.present()) check_bank("image", input.image, batch, weights_.feature);
  if (input.audio.present()) check_bank("audio", input.audio, batch, weights_.feature);
}

void Skimmer::run(const SkimInput& input, const SkimOutput& output) const {
  for (std::int64_t b = 0; b < input.timestamps.shape[0]; ++b) skim_video(weights_, settings_, input, output, b);
}

}  // namespace l2l
