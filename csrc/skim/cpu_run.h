// One call of the skimmer on the CPU: all steps of all its videos.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/thread_pool.h"
#include "ops/soft_index.h"
#include "skim/cpu_model.h"
#include "skim/skimmer.h"

namespace l2l {

// A task writes what no other task of its phase touches, and sums in an order of its own, so that who did
// it leaves no trace in the result.
class CpuRun final : public TeamWork {
 public:
  // `input` has passed Skimmer::check(), and the output has the shapes of output_shapes(). All memory is taken here.
  CpuRun(const CpuModel& model, const Settings& settings, const SkimInput& input, const SkimOutput& output);

  void walk(Member& member) override;

  // After the walk: throws std::invalid_argument naming the bank if it held a value that is not finite in the
  // working precision.
  void check_banks() const;

 private:
  struct Task {
    std::int64_t bank, begin, end;
  };
  struct VideoBank {
    std::int64_t video;
    int modality;  // 0 image, 1 audio
    std::int64_t other;  // this video's other bank, or -1
    BankIndex index;
  };

  Bank joined_like(const Bank& bank, int modality);
  void add_bank(const Bank& bank, int modality, std::int64_t video, std::int64_t other,
                bool excluding);
  void join(const Task& task);
  void prepare(Member& member);
  void mix_features(Member& member, std::int64_t t);
  void recur(Member& member, std::int64_t t);
  void ask(Member& member, std::int64_t t);
  void choose(Member& member, std::int64_t t);
  void classify(Member& member);

  const float* query_of(const VideoBank& bank) const;
  void write_attention(const VideoBank& bank, std::int64_t t) const;
  void write_modality_scores(const VideoBank& bank, std::int64_t t) const;
  void multiply(Member& member, const PackedLinear& layer, const AlignedVector<float>& x, AlignedVector<float>& y,
                std::int64_t rows, bool relu) const;

  const CpuModel& model_;
  const SkimInput in_;
  const SkimOutput out_;
  const std::int64_t batch_;
  std::vector<VideoBank> banks_;
  std::vector<Task> join_tasks_, knot_tasks_, key_tasks_, score_tasks_;
  AlignedVector<float> joined_[2];  // preset `paired`: the banks that are skimmed, [B, M, D]
  AlignedVector<float> mixed_, hidden_, fused_, gates_, c_, h_, state_, query_[2], means_, logits_;
  std::atomic<bool> bad_source_[2] = {false, false}, bad_bank_[2] = {false, false};
};

}  // namespace l2l
