// Soft indexing (Eq. 6-8), fused with interpolation. Scores are made at the knots and interpolated to the timestamps, and
// the weights go back to the knots (v = B^T u), so that banks of N rows are never formed. Comments number the folds as
// DESIGN §2, "The fused kernel", does.
#pragma once

#include <cstdint>

#include <string>

#include "base/aligned.h"
#include "base/view.h"
#include "ops/interpolate.h"
#include "ops/kernels.h"

namespace l2l {

class PackedLinear;

// One modality's bank, on any device. `rows` is [B, M, D], `times` [B, M], `lengths` [B] or null for full rows; what
// lies past a video's length is never read. An absent modality has rows.data == nullptr.
template <class Value>
struct BankOf {
  View<const Value, 3> rows;
  View<const double, 2> times;
  View<const std::int64_t, 1> lengths;
  bool present() const { return rows.data != nullptr; }
  std::int64_t knots() const { return rows.shape[1]; }
};
using Bank = BankOf<float>;

// How much of a video's `full` rows counts.
inline std::int64_t length_of(const View<const std::int64_t, 1>& lengths, std::int64_t video, std::int64_t full) {
  return lengths.data == nullptr ? full : lengths.data[video];
}

// These throw std::invalid_argument naming the argument at fault: "timestamps" or "lengths"; or, for a modality, its
// "_bank", "_times" or "_lengths". `feature` is the width that the bank must have. Shapes are checked on any device,
// values only on the host; their shapes have passed.
void check_moment_shapes(const View<const double, 2>& timestamps, const View<const std::int64_t, 1>& lengths);
template <class Value>
void check_bank_shapes(const std::string& modality, const BankOf<Value>& bank, std::int64_t batch,
                       std::int64_t feature);
void check_moment_values(const View<const double, 2>& timestamps, const View<const std::int64_t, 1>& lengths);
void check_bank_values(const std::string& modality, const Bank& bank);

// One modality of one video. The phases below are made to be split among threads, with a barrier between
// two phases; parts of one phase write to disjoint memory.
class BankIndex {
 public:
  // rows [knots, size], times [knots], timestamps [moments], borrowed; `excluding` keeps a mask of argmaxes.
  // With `key`, scores are those of ReLU keys (`released`), made for every moment.
  BankIndex(const Kernels& kernels, Precision precision, const float* rows, std::int64_t knots, std::int64_t size,
            const double* times, const double* timestamps, std::int64_t moments, bool excluding,
            const PackedLinear* key);

  std::int64_t knots() const { return knots_; }
  std::int64_t moments() const { return moments_; }
  bool has_keys() const { return key_ != nullptr; }
  // Rows that score() goes over: knots, or moments with ReLU keys.
  std::int64_t scored() const { return key_ == nullptr ? knots_ : moments_; }

  // Once, first: rows [begin, end) to working precision. False if one is not finite in it.
  bool store_rows(std::int64_t begin, std::int64_t end);
  // Once, beside store_rows: where the timestamps lie among the knots.
  void locate_moments();
  // Once, with ReLU keys only: W_k z + b_k of knots [begin, end); then the keys of moments [begin, end).
  void multiply_keys(std::int64_t begin, std::int64_t end);
  void make_keys(std::int64_t begin, std::int64_t end);

  // Eq. 6, its scores: key . query for rows [begin, end) of scored(); the query has no scale left to apply. With affine
  // keys, which fold 1 puts into the query, these are the scores of the knots, not of the moments.
  void score(const float* query, std::int64_t begin, std::int64_t end);
  // Eq. 6, its softmax: the attention over the moments, whose scores are interpolated from the knots' (fold 1), and
  // with exclusion this step's argmax.
  void attend();
  const float* attention() const { return attention_.data(); }
  void exclude(std::int64_t moment);

  // Eq. 8 on the weights, before anything is summed (fold 2): u = own_weight * own attention + other_weight * other
  // attention (other may be null); then v = B^T u (fold 3).
  void spread(float own_weight, const float* other, float other_weight);
  // The same for u = 1/N, with which a run starts.
  void spread_evenly();
  // Eq. 7, over the knots: out[column, column + kPad) = sum over m of v_m z_m.
  void index(std::int64_t column, float* out) const;

 private:
  void spread_mixture();

  const Kernels& kernels_;
  const Precision precision_;
  const float* source_;
  const std::int64_t knots_, size_, moments_;
  const double *times_, *timestamps_;
  const PackedLinear* key_;
  AlignedVector<unsigned char> stored_, keys_;
  Rows rows_, key_rows_;
  AlignedVector<std::int32_t> lower_;
  AlignedVector<float> fraction_;
  AlignedVector<float> products_, at_knots_, attention_, mixture_;
  AlignedVector<unsigned char> masked_;  // empty without exclusion
  std::int64_t masked_count_ = 0;
};

// One step of attention on its own, on any device. Pairs are image, audio; both banks are present.
template <class AnyBank>
struct SoftIndexInputOf {
  AnyBank banks[2];
  View<const double, 2> timestamps;          // [B, N]
  View<const std::int64_t, 1> lengths;       // [B] or null
  View<const float, 2> queries[2];           // [B, D]: keys folded in, scaled
  View<const float, 2> modality_scores;      // [B, 2]
  View<const unsigned char, 2> excluded[2];  // [B, N], non-zero gets no attention; or null
};
using SoftIndexInput = SoftIndexInputOf<Bank>;

struct SoftIndexOutput {
  View<float, 2> features[2];   // [B, D], Eq. 8
  View<float, 2> attention[2];  // [B, N], Eq. 6
};

// Throws std::invalid_argument naming the argument at fault.
void check_soft_index(const SoftIndexInput& input);

// `input` has passed the check. Throws std::invalid_argument naming a bank that holds a value which is not
// finite in `precision`. Thread-safe; works on the caller's thread.
void soft_index(Isa isa, Precision precision, const SoftIndexInput& input, const SoftIndexOutput& output);

}  // namespace l2l
