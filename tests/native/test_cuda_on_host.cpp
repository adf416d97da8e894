// The CUDA kernels on the host against the CPU path, which the Python tests hold to the float64 reference.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "cases.h"
#include "check.h"
#include "ops/interpolate_cuda.h"
#include "skim/cuda_skimmer.h"

using namespace l2l;
using namespace l2l::test;

namespace {

struct Case {
  const char* name;
  Dims dims;
  int query_layers;
  Settings settings;
  std::int64_t batch, moments, image, audio, steps;
  bool has_image, has_audio;
};

// Small: a shuffle of 32 OS threads costs the host what a million of them cost a GPU.
constexpr Dims kDims{6, 9, 7, 5, 3};

const Case kCases[] = {
    {"paper", kDims, 1, {false, false, Precision::fp32}, 2, 17, 3, 5, 2, true, true},
    {"released", kDims, 2, {true, true, Precision::fp32}, 2, 5, 3, 5, 6, true, true},
    {"one of everything", {1, 1, 1, 1, 1}, 1, {false, false, Precision::fp32}, 1, 1, 1, 1, 1, true, true},
    {"no audio", kDims, 1, {false, true, Precision::fp32}, 1, 7, 7, 1, 3, true, false},
    {"no image", kDims, 2, {true, false, Precision::fp32}, 1, 7, 1, 7, 2, false, true},
    {"bf16", kDims, 1, {false, false, Precision::bf16}, 1, 17, 3, 5, 2, true, true},
    {"fp16", kDims, 1, {false, false, Precision::fp16}, 1, 17, 3, 5, 2, true, true},
};

// Rows are dealt out unevenly; there is shared memory for no weights, for some, for all.
const CudaGeometry kPlain{false, 2, 64, 0};
const CudaGeometry kPersistent[] = {{true, 1, 32, 0}, {true, 2, 64, 12000}, {true, 3, 32, 1 << 20}};

void compare(const Case& c, const CudaGeometry& geometry) {
  const RandomWeights weights(c.dims, c.query_layers, 11);
  const Videos videos(c.batch, c.moments, c.image, c.audio, c.dims.feature);
  const SkimInput input = videos.input(c.steps, c.has_image, c.has_audio);
  Outputs wanted(videos, c.steps, c.dims), got(videos, c.steps, c.dims);
  // The float kernels: bf16 products round the inputs too, which the CUDA kernels do not.
  Skimmer(weights.tensors(), c.settings, Isa::portable, 1).run(input, wanted.views);
  const CudaSkimmer skimmer(weights.tensors(), c.settings);
  std::vector<unsigned char> workspace(skimmer.workspace_bytes(input), 0xff);
  skimmer.run(input, got.views, workspace.data(), geometry, nullptr);
  const float distance = got.distance(wanted);
  if (!(distance < 1e-5f)) std::printf("  %s: distance %g\n", c.name, static_cast<double>(distance));
  CHECK(distance < 1e-5f);
}

}  // namespace

TEST(cuda_kernels_equal_the_cpu_path) {
  for (const Case& c : kCases) compare(c, kPlain);
}

TEST(persistent_kernel_equals_the_cpu_path) {
  for (const CudaGeometry& geometry : kPersistent) compare(kCases[0], geometry);
  compare(kCases[1], kPersistent[1]);
}

TEST(cuda_interpolation_equals_the_cpu_path) {
  // Before, on, between and after the knots; rows that 3 warps cannot share evenly.
  const std::vector<double> knots{1.0, 2.0, 4.0, 0.0, 0.5, 9.0};
  const std::vector<double> timestamps{0.0, 1.0, 3.5, 4.0, 5.0, 9.0, 0.25, 1.0, -1.0, 8.5};
  std::vector<float> features(2 * 3 * 37);
  for (std::size_t i = 0; i < features.size(); ++i) features[i] = static_cast<float>(i * i % 101) - 50.0f;
  const InterpolateInput input{{features.data(), {2, 3, 37}}, {knots.data(), {2, 3}}, {timestamps.data(), {2, 5}}};
  std::vector<float> wanted(2 * 5 * 37), got(wanted.size(), -1e9f);
  interpolate(Isa::portable, input, {wanted.data(), {2, 5, 37}});
  interpolate_cuda(input, {got.data(), {2, 5, 37}}, 1, 96, nullptr);
  float distance = 0.0f;
  for (std::size_t i = 0; i < got.size(); ++i) distance = std::max(distance, std::fabs(got[i] - wanted[i]));
  CHECK(distance < 1e-4f);
}
