#include <algorithm>
#include <limits>
#include <vector>

#include "base/check.h"
#include "base/padding.h"
#include "ops/linear.h"
#include "ops/soft_index.h"

namespace l2l {
namespace {

std::size_t to_size(std::int64_t n) { return static_cast<std::size_t>(n); }
std::int64_t value_size(Precision precision) { return precision == Precision::fp32 ? 4 : 2; }

}  // namespace

BankIndex::BankIndex(const Kernels& kernels, Precision precision, const float* rows, std::int64_t knots,
                     std::int64_t size, const double* times, const double* timestamps, std::int64_t moments,
                     bool excluding, const PackedLinear* key)
    : kernels_(kernels),
      precision_(precision),
      source_(rows),
      knots_(knots),
      size_(size),
      moments_(moments),
      times_(times),
      timestamps_(timestamps),
      key_(key),
      stored_(to_size(knots * padded(size) * value_size(precision))),
      rows_{stored_.data(), padded(size)},
      lower_(to_size(padded(moments)), 0),
      fraction_(to_size(padded(moments)), 0.0f),
      // One more than the knots: interpolation looks at the knot after the last, with fraction 0.
      at_knots_(to_size(padded(knots + 1)), 0.0f),
      attention_(to_size(padded(moments)), 0.0f),
      mixture_(to_size(padded(moments))),
      masked_(excluding ? to_size(moments) : 0, 0) {
  if (key_ != nullptr) {
    keys_.resize(to_size(moments * key_->out() * value_size(precision)));
    key_rows_ = {keys_.data(), key_->out()};
    products_.resize(to_size(knots * key_->out()));
  }
}

bool BankIndex::store_rows(std::int64_t begin, std::int64_t end) {
  bool finite = true;
  for (std::int64_t m = begin; m < end; ++m) {
    unsigned char* to = stored_.data() + m * rows_.stride * value_size(precision_);
    finite &= kernels_.store[static_cast<int>(precision_)](source_ + m * size_, size_, to, rows_.stride);
  }
  return finite;
}

void BankIndex::locate_moments() {
  locate(times_, knots_, timestamps_, moments_, lower_.data(), fraction_.data());
}

// A ReLU does not commute with interpolation, but the product before it does: it is made at the knots.
void BankIndex::multiply_keys(std::int64_t begin, std::int64_t end) {
  const std::int64_t count = end - begin;
  AlignedVector<float> rows(to_size(count * key_->in()), 0.0f);
  for (std::int64_t m = 0; m < count; ++m) {
    std::copy_n(source_ + (begin + m) * size_, size_, &rows[to_size(m * key_->in())]);
  }
  key_->run(rows.data(), key_->in(), &products_[to_size(begin * key_->out())], key_->out(), count, 0, key_->panels(),
            false);
}

void BankIndex::make_keys(std::int64_t begin, std::int64_t end) {
  const std::int64_t width = key_->out();
  AlignedVector<float> key(to_size(width));
  for (std::int64_t j = begin; j < end; ++j) {
    const std::int64_t knot = lower_[to_size(j)];
    const float* low = &products_[to_size(knot * width)];
    const float* high = &products_[to_size(std::min(knot + 1, knots_ - 1) * width)];
    kernels_.lerp(low, high, fraction_[to_size(j)], width, key.data());
    for (float& value : key) value = std::max(value, 0.0f);
    kernels_.store[static_cast<int>(precision_)](key.data(), width, keys_.data() + j * width * value_size(precision_),
                                                 width);
  }
}

// Eq. 6, its scores.
void BankIndex::score(const float* query, std::int64_t begin, std::int64_t end) {
  const auto dots = kernels_.dots[static_cast<int>(precision_)];
  if (key_ == nullptr) {
    dots(rows_, query, begin, end, at_knots_.data());
  } else {
    dots(key_rows_, query, begin, end, attention_.data());
  }
}

// Eq. 6, its softmax, of scores that are interpolated from the knots' (fold 1).
void BankIndex::attend() {
  float* scores = attention_.data();
  if (key_ == nullptr) {
    kernels_.interpolate_scores(at_knots_.data(), lower_.data(), fraction_.data(), moments_, scores);
  }
  if (!masked_.empty()) {
    for (std::int64_t j = 0; j < moments_; ++j) {
      if (masked_[to_size(j)]) scores[j] = -std::numeric_limits<float>::infinity();
    }
    exclude(std::max_element(scores, scores + moments_) - scores);  // the first among equals
  }
  kernels_.softmax(scores, moments_);
}

void BankIndex::exclude(std::int64_t moment) {
  masked_count_ += masked_[to_size(moment)] ? 0 : 1;
  masked_[to_size(moment)] = 1;
  if (masked_count_ == moments_) {
    std::fill(masked_.begin(), masked_.end(), static_cast<unsigned char>(0));
    masked_count_ = 0;
  }
}

// Eq. 8 on the weights, before anything is summed (fold 2).
void BankIndex::spread(float own_weight, const float* other, float other_weight) {
  const float* second = other == nullptr ? attention_.data() : other;
  kernels_.mix(own_weight, attention_.data(), other == nullptr ? 0.0f : other_weight, second, moments_,
               mixture_.data());
  spread_mixture();
}

void BankIndex::spread_evenly() {
  std::fill_n(mixture_.data(), moments_, 1.0f / static_cast<float>(moments_));
  spread_mixture();
}

// Fold 3, v = B^T u. Timestamps mostly come in order, so the two knots around one are mostly those around the last:
// their sums stay in registers until the knots change.
void BankIndex::spread_mixture() {
  float* v = at_knots_.data();
  std::fill_n(v, knots_ + 1, 0.0f);
  std::int64_t knot = 0;
  float low = 0.0f, high = 0.0f;
  for (std::int64_t j = 0; j < moments_; ++j) {
    if (lower_[to_size(j)] != knot) {
      v[knot] += low;
      v[knot + 1] += high;
      knot = lower_[to_size(j)];
      low = high = 0.0f;
    }
    const float upper = fraction_[to_size(j)] * mixture_[to_size(j)];
    low += mixture_[to_size(j)] - upper;
    high += upper;
  }
  v[knot] += low;
  v[knot + 1] += high;
}

// Eq. 7, over the knots.
void BankIndex::index(std::int64_t column, float* out) const {
  kernels_.weighted_sum[static_cast<int>(precision_)](rows_, at_knots_.data(), knots_, column, out);
}

namespace {

// One video of soft_index(); false in finite[m] where a bank holds a value that is not finite.
void soft_index_video(const Kernels& kernels, Precision precision, const SoftIndexInput& in, const SoftIndexOutput& out,
                      std::int64_t video, bool (&finite)[2]) {
  const std::int64_t width = in.timestamps.shape[1];
  const std::int64_t moments = length_of(in.lengths, video, width);
  const std::int64_t feature = in.banks[0].rows.shape[2];
  std::vector<BankIndex> index;
  AlignedVector<float> padded_row(to_size(padded(feature)), 0.0f);
  for (int m = 0; m < 2; ++m) {
    const Bank& given = in.banks[m];
    const View<const unsigned char, 2>& excluded = in.excluded[m];
    const std::int64_t knots = length_of(given.lengths, video, given.knots());
    BankIndex& bank = index.emplace_back(kernels, precision, given.rows.row(video), knots, feature,
                                         given.times.row(video), in.timestamps.row(video), moments,
                                         excluded.data != nullptr, nullptr);
    finite[m] &= bank.store_rows(0, knots);
    bank.locate_moments();
    for (std::int64_t j = 0; excluded.data != nullptr && j < moments; ++j) {
      if (excluded.row(video, j)[0] != 0) bank.exclude(j);
    }
    std::copy_n(in.queries[m].row(video), feature, padded_row.data());
    bank.score(padded_row.data(), 0, knots);
    bank.attend();
    std::copy_n(bank.attention(), moments, out.attention[m].row(video));
    std::fill_n(out.attention[m].row(video) + moments, width - moments, 0.0f);
  }
  const float* scores = in.modality_scores.row(video);
  for (int m = 0; m < 2; ++m) {
    index[to_size(m)].spread(scores[m], index[to_size(1 - m)].attention(), scores[1 - m]);
    for (std::int64_t c = 0; c < padded(feature); c += kPad) index[to_size(m)].index(c, padded_row.data());
    std::copy_n(padded_row.data(), feature, out.features[m].row(video));
  }
}

}  // namespace

void soft_index(Isa isa, Precision precision, const SoftIndexInput& input, const SoftIndexOutput& output) {
  bool finite[2] = {true, true};
  for (std::int64_t video = 0; video < input.timestamps.shape[0]; ++video) {
    soft_index_video(kernels_for(isa), precision, input, output, video, finite);
  }
  require(finite[0], "image_bank: a value is not finite, or too large for the precision");
  require(finite[1], "audio_bank: a value is not finite, or too large for the precision");
}

}  // namespace l2l
