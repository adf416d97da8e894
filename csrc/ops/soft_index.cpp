#include "ops/soft_index.h"

#include "base/check.h"
#include "ops/soft_index_cuda.h"

namespace l2l {
namespace {

constexpr const char* kModalities[] = {"image", "audio"};

void check_lengths_shape(const std::string& name, const View<const std::int64_t, 1>& lengths, std::int64_t batch) {
  require(lengths.data == nullptr || lengths.shape[0] == batch, name, ": expected shape [", batch, "], got ",
          shape_text(lengths));
}

void check_lengths_values(const std::string& name, const View<const std::int64_t, 1>& lengths, std::int64_t most) {
  for (std::int64_t b = 0; lengths.data != nullptr && b < lengths.shape[0]; ++b) {
    require(lengths.data[b] >= 1 && lengths.data[b] <= most, name, ": value ", lengths.data[b], " of video ", b,
            " is not between 1 and ", most);
  }
}

template <class T>
void check_shape(const std::string& name, const View<T, 2>& view, std::int64_t rows, std::int64_t columns) {
  require(view.data == nullptr || (view.shape[0] == rows && view.shape[1] == columns), name, ": expected shape [",
          rows, ", ", columns, "], got ", shape_text(view));
}

void check_finite_values(const std::string& name, const View<const float, 2>& view) {
  for (std::int64_t i = 0; i < view.size(); ++i) {
    // x - x is 0 for finite values only.
    require(view.data[i] - view.data[i] == 0.0f, name, ": contains a value that is not finite");
  }
}

}  // namespace

void check_moment_shapes(const View<const double, 2>& timestamps, const View<const std::int64_t, 1>& lengths) {
  require(timestamps.shape[0] >= 1 && timestamps.shape[1] >= 1,
          "timestamps: expected shape [at least 1, at least 1], got ", shape_text(timestamps));
  check_lengths_shape("lengths", lengths, timestamps.shape[0]);
}

template <class Value>
void check_bank_shapes(const std::string& modality, const BankOf<Value>& bank, std::int64_t batch,
                       std::int64_t feature) {
  require(bank.rows.shape[0] == batch && bank.knots() >= 1 && bank.rows.shape[2] == feature, modality,
          "_bank: expected shape [", batch, ", at least 1, ", feature, "], got ", shape_text(bank.rows));
  require(bank.times.data != nullptr, modality, "_times: missing");
  check_shape(modality + "_times", bank.times, batch, bank.knots());
  check_lengths_shape(modality + "_lengths", bank.lengths, batch);
}
template void check_bank_shapes(const std::string&, const BankOf<float>&, std::int64_t, std::int64_t);
template void check_bank_shapes(const std::string&, const BankOf<void>&, std::int64_t, std::int64_t);

void check_moment_values(const View<const double, 2>& timestamps, const View<const std::int64_t, 1>& lengths) {
  const std::int64_t moments = timestamps.shape[1];
  check_lengths_values("lengths", lengths, moments);
  for (std::int64_t b = 0; b < timestamps.shape[0]; ++b) {
    check_finite("timestamps", timestamps.row(b), length_of(lengths, b, moments), b);
  }
}

void check_bank_values(const std::string& modality, const Bank& bank) {
  const std::string times_name = modality + "_times";
  check_lengths_values(modality + "_lengths", bank.lengths, bank.knots());
  for (std::int64_t b = 0; b < bank.rows.shape[0]; ++b) {
    check_knots(times_name.c_str(), bank.times.row(b), length_of(bank.lengths, b, bank.knots()), b);
  }
}

namespace {

template <class AnyBank>
void check_soft_index_shapes(const SoftIndexInputOf<AnyBank>& input) {
  check_moment_shapes(input.timestamps, input.lengths);
  const auto [batch, moments] = input.timestamps.shape;
  const std::int64_t feature = input.banks[0].rows.shape[2];
  require(feature >= 1, "image_bank: expected at least 1 feature, got ", shape_text(input.banks[0].rows));
  for (int m = 0; m < 2; ++m) {
    const std::string name = kModalities[m];
    check_bank_shapes(name, input.banks[m], batch, feature);
    check_shape(name + "_query", input.queries[m], batch, feature);
    check_shape(name + "_excluded", input.excluded[m], batch, moments);
  }
  check_shape("modality_scores", input.modality_scores, batch, 2);
}

}  // namespace

void check_soft_index(const SoftIndexInput& input) {
  check_soft_index_shapes(input);
  check_moment_values(input.timestamps, input.lengths);
  for (int m = 0; m < 2; ++m) {
    check_bank_values(kModalities[m], input.banks[m]);
    check_finite_values(std::string(kModalities[m]) + "_query", input.queries[m]);
  }
  check_finite_values("modality_scores", input.modality_scores);
}

void check_cuda_rows(const View<const double, 2>& timestamps, const CudaBank (&banks)[2]) {
  require(timestamps.shape[1] <= kMostCudaRows, "timestamps: more than ", kMostCudaRows, " of a video");
  for (int m = 0; m < 2; ++m) {
    require(banks[m].knots() <= kMostCudaRows, kModalities[m], "_bank: more than ", kMostCudaRows, " knots");
  }
}

void check_soft_index(const CudaSoftIndexInput& input) {
  check_soft_index_shapes(input);
  check_cuda_rows(input.timestamps, input.banks);
}

}  // namespace l2l
