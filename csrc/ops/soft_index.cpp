#include "ops/soft_index.h"

#include "base/check.h"

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

template <class T>
void check_shape(const char* name, const View<T, 2>& view, std::int64_t rows, std::int64_t columns) {
  require(view.data == nullptr || (view.shape[0] == rows && view.shape[1] == columns), name, ": expected shape [",
          rows, ", ", columns, "], got ", shape_text(view));
}

void check_finite_values(const char* name, const View<const float, 2>& view) {
  for (std::int64_t i = 0; i < view.size(); ++i) {
    // x - x is 0 for finite values only.
    require(view.data[i] - view.data[i] == 0.0f, name, ": contains a value that is not finite");
  }
}

}  // namespace

void check_moments(const View<const double, 2>& timestamps, const View<const std::int64_t, 1>& lengths) {
  const std::int64_t batch = timestamps.shape[0];
  const std::int64_t moments = timestamps.shape[1];
  require(batch >= 1 && moments >= 1, "timestamps: expected shape [at least 1, at least 1], got ",
          shape_text(timestamps));
  check_lengths("lengths", lengths, batch, moments);
  for (std::int64_t b = 0; b < batch; ++b) {
    check_finite("timestamps", timestamps.row(b), length_of(lengths, b, moments), b);
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

void check_soft_index(const SoftIndexInput& input) {
  check_moments(input.timestamps, input.lengths);
  const std::int64_t batch = input.timestamps.shape[0];
  const std::int64_t feature = input.image.rows.shape[2];
  require(feature >= 1, "image_bank: expected at least 1 feature, got ", shape_text(input.image.rows));
  check_bank("image", input.image, batch, feature);
  check_bank("audio", input.audio, batch, feature);
  check_shape("image_query", input.image_query, batch, feature);
  check_shape("audio_query", input.audio_query, batch, feature);
  check_shape("modality_scores", input.modality_scores, batch, 2);
  check_shape("image_excluded", input.image_excluded, batch, input.timestamps.shape[1]);
  check_shape("audio_excluded", input.audio_excluded, batch, input.timestamps.shape[1]);
  check_finite_values("image_query", input.image_query);
  check_finite_values("audio_query", input.audio_query);
  check_finite_values("modality_scores", input.modality_scores);
}

}  // namespace l2l
