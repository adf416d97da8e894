// ImgAud-Skimming (Eq. 5-9): T steps over banks of knots, batched over videos.
#pragma once

#include <cstdint>

#include "base/cpu_features.h"
#include "base/thread_pool.h"
#include "skim/call.h"
#include "skim/cpu_model.h"
#include "skim/weights.h"

namespace l2l {

inline constexpr std::int64_t kMaxThreads = 1024;

// Immutable after construction: run() may be called from any number of threads at once, and gives the
// same bits whatever the number of threads and whatever else is in the batch.
class Skimmer {
 public:
  // Throws std::invalid_argument naming the tensor at fault, or "threads" if they are not 1 to kMaxThreads. One run
  // uses up to `threads` threads; a run that finds them at work for another uses its caller's alone.
  Skimmer(const TensorMap& tensors, const Settings& settings, Isa isa, std::int64_t threads);

  // Throws std::invalid_argument naming the argument at fault; call it before allocating the output.
  void check(const SkimInput& input) const { check_skim_input(input, model_.feature, visual_only_); }

  // `input` has passed check(); the output views have the sizes given above. Writes every element. Throws
  // std::invalid_argument naming the bank that holds a value which is not finite in the working precision
  // (found while it is converted, so that a bank is read only once but for joining).
  void run(const SkimInput& input, const SkimOutput& output) const;

  const Settings& settings() const { return settings_; }
  Isa isa() const { return model_.kernels.isa; }
  std::int64_t threads() const { return pool_.threads(); }
  std::int64_t feature_size() const { return model_.feature; }
  std::int64_t class_count() const { return model_.classes; }
  bool visual_only() const { return visual_only_; }

 private:
  Skimmer(const Weights& weights, const Settings& settings, Isa isa, std::int64_t threads);

  const Settings settings_;
  const bool visual_only_;
  const CpuModel model_;
  mutable ThreadPool pool_;
};

}  // namespace l2l
