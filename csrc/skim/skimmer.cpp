#include "skim/skimmer.h"

#include "base/check.h"
#include "skim/cpu_run.h"

namespace l2l {
namespace {

std::int64_t checked_threads(std::int64_t threads) {
  require(threads >= 1 && threads <= kMaxThreads, "threads: ", threads, " is not between 1 and ", kMaxThreads);
  return threads;
}

}  // namespace

Skimmer::Skimmer(const TensorMap& tensors, const Settings& settings, Isa isa, std::int64_t threads)
    : Skimmer(load_weights(tensors, settings), settings, isa, checked_threads(threads)) {}

Skimmer::Skimmer(const Weights& weights, const Settings& settings, Isa isa, std::int64_t threads)
    : settings_(settings),
      visual_only_(weights.visual_only),
      model_(weights, settings, kernels_for(isa)),
      pool_(threads) {}

void Skimmer::run(const SkimInput& input, const SkimOutput& output) const {
  const auto run = std::make_shared<CpuRun>(model_, settings_, input, output);
  pool_.run(run);
  run->check_banks();
}

}  // namespace l2l
