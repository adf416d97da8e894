#include "skim/pairing.h"

#include <algorithm>
#include <memory>

#include "base/aligned.h"
#include "base/check.h"
#include "base/padding.h"

namespace l2l {
namespace {

// Rows of one task: enough that weights are read seldom, few enough that threads share the work.
constexpr std::int64_t kRows = 16;

std::size_t to_size(std::int64_t n) { return static_cast<std::size_t>(n); }

// One modality's rows: its own, the other's at the same times (null: zeros), and where the joined ones go.
struct Side {
  const float* own = nullptr;
  const float* other = nullptr;
  float* out = nullptr;
  std::int64_t rows = 0;
};

class PairingRun final : public TeamWork {
 public:
  PairingRun(const Pairing::Fusion* fusions, std::int64_t feature, const Side& image, const Side& audio)
      : fusions_(fusions), feature_(feature), sides_{image, audio} {
    for (int m = 0; m < 2; ++m) blocks_[m] = (sides_[m].rows + kRows - 1) / kRows;
  }

  void walk(Member& member) override {
    member.each(blocks_[0] + blocks_[1], [this](std::int64_t i) {
      const int modality = i < blocks_[0] ? 0 : 1;
      join(modality, (modality ? i - blocks_[0] : i) * kRows);
    });
  }

 private:
  void join(int modality, std::int64_t begin) const {
    const Side& side = sides_[modality];
    const Pairing::Fusion& fusion = fusions_[modality];
    const std::int64_t count = std::min(kRows, side.rows - begin);
    const std::int64_t width = fusion.first.in() / 2;
    AlignedVector<float> both(to_size(count * fusion.first.in()), 0.0f);
    AlignedVector<float> hidden(to_size(count * fusion.first.out())), fused(to_size(count * fusion.second.out()));
    for (std::int64_t r = 0; r < count; ++r) {
      float* parts = &both[to_size(r * fusion.first.in())];
      std::copy_n(side.own + (begin + r) * feature_, feature_, parts + modality * width);
      if (side.other) std::copy_n(side.other + (begin + r) * feature_, feature_, parts + (1 - modality) * width);
    }
    fusion.first.run(both.data(), fusion.first.in(), hidden.data(), fusion.first.out(), count, 0,
                     fusion.first.panels(), true);
    fusion.second.run(hidden.data(), fusion.second.in(), fused.data(), fusion.second.out(), count, 0,
                      fusion.second.panels(), false);
    for (std::int64_t r = 0; r < count; ++r) {
      const float* own = side.own + (begin + r) * feature_;
      const float* added = &fused[to_size(r * fusion.second.out())];
      float* out = side.out + (begin + r) * feature_;
      for (std::int64_t d = 0; d < feature_; ++d) out[d] = own[d] + added[d];
    }
  }

  const Pairing::Fusion* const fusions_;
  const std::int64_t feature_;
  const Side sides_[2];  // image, audio
  std::int64_t blocks_[2];
};

}  // namespace

Pairing::Fusion::Fusion(const PairWeights& weights, std::int64_t feature, const Kernels& kernels, Precision precision)
    : first(kernels, precision, weights.first.out, 2 * padded(feature)),
      second(kernels, precision, weights.second.out, weights.second.in) {
  first.place(weights.first, 0, feature);
  second.place(weights.second, 0, weights.second.in);
}

Pairing::Pairing(const TensorMap& tensors, Precision precision, Isa isa, std::int64_t threads)
    : Pairing(load_pairing(tensors, precision), precision, kernels_for(isa), threads) {}

Pairing::Pairing(const PairingWeights& weights, Precision precision, const Kernels& kernels, std::int64_t threads)
    : feature_(weights.feature),
      fusions_{{weights.image, feature_, kernels, precision}, {weights.audio, feature_, kernels, precision}},
      pool_(threads) {}

void Pairing::check(const PairingInput& input) const {
  const auto check_rows = [this](const char* name, const View<const float, 3>& rows) {
    require(!rows.data || rows.shape[2] == feature_, name, ": expected rows of ", feature_, ", got ",
            shape_text(rows));
  };
  const auto check_other = [](const char* name, const View<const float, 3>& rows, const View<const float, 3>& own) {
    require(!rows.data || (own.data && rows.shape == own.shape), name, ": expected shape ", shape_text(own), ", got ",
            shape_text(rows));
  };
  check_rows("image", input.image);
  check_rows("audio", input.audio);
  check_other("heard", input.heard, input.image);
  check_other("seen", input.seen, input.audio);
}

void Pairing::run(const PairingInput& input, const PairingOutput& output) const {
  const auto side = [](const View<const float, 3>& own, const View<const float, 3>& other, const View<float, 3>& out) {
    return Side{own.data, other.data, out.data, own.data ? own.shape[0] * own.shape[1] : 0};
  };
  pool_.run(std::make_shared<PairingRun>(fusions_, feature_, side(input.image, input.heard, output.image),
                                         side(input.audio, input.seen, output.audio)));
}

}  // namespace l2l
