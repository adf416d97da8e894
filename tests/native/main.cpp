// Runs all native tests, or one by name. "plant-overflow", "plant-race" and "plant-kernel-race" do wrong on
// purpose, to show that the sanitizers see into the CPU kernels, the thread pool and the CUDA kernels.
#include <cstring>
#include <memory>
#include <vector>

#include "base/cuda.h"
#include "base/thread_pool.h"
#include "check.h"
#include "ops/interpolate.h"

namespace {

// The output is one value shorter than it says.
void plant_overflow() {
  const std::vector<float> features(24, 1.0f);
  const std::vector<double> knots{0.0, 1.0, 2.0}, timestamps{0.5, 1.5};
  std::vector<float> out(2 * 8 - 1);
  const l2l::InterpolateInput input{{features.data(), {1, 3, 8}}, {knots.data(), {1, 3}}, {timestamps.data(), {1, 2}}};
  l2l::interpolate(l2l::Isa::portable, input, {out.data(), {1, 2, 8}});
}

// Tasks of one phase write to the same place.
struct Racing final : l2l::TeamWork {
  long sum = 0;
  void walk(l2l::Member& member) override {
    member.each(20000, [this](std::int64_t i) { sum += i; });
  }
};

void plant_race() {
  l2l::ThreadPool pool(4);
  for (int i = 0; i < 20; ++i) pool.run(std::make_shared<Racing>());
}

// One thread reads what another wrote, with no barrier between.
void racing_kernel(float* out) {
  auto* shared = reinterpret_cast<float*>(l2l::cuda::shared_memory());
  shared[l2l::cuda::threadIdx.x] = 1.0f;
  out[l2l::cuda::threadIdx.x] = shared[l2l::cuda::threadIdx.x ^ 33u];  // the other warp's
}

void plant_kernel_race() {
  std::vector<float> out(64);
  l2l::cuda::launch(racing_kernel, {1, 64, 64 * sizeof(float), false}, nullptr, out.data());
}

}  // namespace

int main(int count, char** arguments) {
  const char* only = count > 1 ? arguments[1] : nullptr;
  if (only != nullptr && std::strcmp(only, "plant-overflow") == 0) {
    plant_overflow();
    return 0;
  }
  if (only != nullptr && std::strcmp(only, "plant-race") == 0) {
    plant_race();
    return 0;
  }
  if (only != nullptr && std::strcmp(only, "plant-kernel-race") == 0) {
    plant_kernel_race();
    return 0;
  }
  int ran = 0;
  for (const l2l::test::Test& test : l2l::test::tests()) {
    if (only != nullptr && std::strcmp(only, test.name) != 0) continue;
    std::printf("%s\n", test.name);
    test.run();
    ++ran;
  }
  std::printf("%d tests, %d failures\n", ran, l2l::test::failures());
  return ran > 0 && l2l::test::failures() == 0 ? 0 : 1;
}
