#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "cases.h"
#include "check.h"

using namespace l2l;
using namespace l2l::test;

namespace {

constexpr std::int64_t kSteps = 4;

struct Preset {
  int query_layers;
  Settings settings;
  bool paired = false;
};
const Preset kPresets[] = {{1, {false, false, Precision::fp32}},
                           {2, {true, true, Precision::fp32}},
                           {1, {false, false, Precision::fp32}, true}};

Outputs run(const Skimmer& skimmer, const Videos& videos, const Dims& dims) {
  Outputs outputs(videos, kSteps, dims);
  const SkimInput input = videos.input(kSteps);
  skimmer.check(input);
  skimmer.run(input, outputs.views);
  CHECK(outputs.ends_in_logits());
  return outputs;
}

}  // namespace

TEST(instruction_sets_agree) {
  const Dims dims;
  const Videos videos(3, 17, 5, 9, dims.feature);
  for (const Preset& preset : kPresets) {
    const RandomWeights weights(dims, preset.query_layers, 1, preset.paired);
    const Outputs portable = run(Skimmer(weights.tensors(), preset.settings, Isa::portable, 1), videos, dims);
    for (int isa = 1; isa <= static_cast<int>(best_isa()); ++isa) {
      const Skimmer skimmer(weights.tensors(), preset.settings, static_cast<Isa>(isa), 1);
      CHECK(run(skimmer, videos, dims).distance(portable) < 1e-5f);
    }
  }
}

TEST(step_logits_are_the_logits_of_fewer_steps) {
  const Dims dims;
  const Videos videos(3, 17, 5, 9, dims.feature);
  for (const Preset& preset : kPresets) {
    const RandomWeights weights(dims, preset.query_layers, 5, preset.paired);
    const Skimmer skimmer(weights.tensors(), preset.settings, best_isa(), 2);
    const Outputs all = run(skimmer, videos, dims);
    for (std::int64_t steps = 1; steps <= kSteps; ++steps) {
      Outputs fewer(videos, steps, dims);
      skimmer.run(videos.input(steps), fewer.views);
      for (std::int64_t b = 0; b < videos.batch; ++b) {
        const float* logits = fewer.views.logits.row(b);
        CHECK(std::equal(logits, logits + dims.classes, all.views.step_logits.row(b, steps - 1)));
      }
    }
  }
}

TEST(threads_and_callers_leave_no_trace) {
  const Dims dims;
  const Videos videos(3, 17, 40, 50, dims.feature);  // so many knots that several threads join them
  for (Precision precision : {Precision::fp32, Precision::bf16, Precision::fp16}) {
    Settings settings = kPresets[1].settings;
    settings.precision = precision;
    const RandomWeights weights(dims, 2, 2, true);
    const Outputs wanted = run(Skimmer(weights.tensors(), settings, best_isa(), 1), videos, dims);
    const Skimmer shared(weights.tensors(), settings, best_isa(), 3);
    std::vector<std::thread> callers;
    std::atomic<int> wrong{0};
    for (int c = 0; c < 4; ++c) {
      callers.emplace_back([&] {
        for (int i = 0; i < 5; ++i) wrong += !(run(shared, videos, dims) == wanted);
      });
    }
    for (std::thread& caller : callers) caller.join();
    CHECK(wrong == 0);
  }
}

TEST(one_of_everything) {
  const Dims dims{1, 1, 1, 1, 1};
  const Videos videos(1, 1, 1, 1, 1);
  for (const Preset& preset : kPresets) {
    const RandomWeights weights(dims, preset.query_layers, 3, preset.paired);
    const Outputs outputs = run(Skimmer(weights.tensors(), preset.settings, best_isa(), 2), videos, dims);
    CHECK(outputs.distance(outputs) == 0.0f);
    CHECK(outputs.values[1][0] == 1.0f);
  }
}
