// The CUDA kernels on the host against the CPU path, which the Python tests hold to the float64 reference.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <limits>
#include <new>
#include <vector>

#include "cases.h"
#include "check.h"
#include "ops/gather_cuda.h"
#include "ops/interpolate_cuda.h"
#include "ops/soft_index_cuda.h"
#include "ops/soft_index_device.h"
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
  bool paired = false;
};

// Small: a shuffle of 32 OS threads costs the host what a million of them cost a GPU.
constexpr Dims kDims{6, 9, 7, 5, 3};

const Case kCases[] = {
    {"paper", kDims, 1, {false, false, Precision::fp32}, 2, 17, 3, 5, 2, true, true},
    {"released", kDims, 2, {true, true, Precision::fp32}, 2, 5, 3, 5, 6, true, true},
    {"one of everything", {1, 1, 1, 1, 1}, 1, {false, false, Precision::fp32}, 1, 1, 1, 1, 1, true, true},
    {"no audio", kDims, 1, {false, true, Precision::fp32}, 1, 7, 7, 1, 3, true, false},
    {"no image", kDims, 2, {true, false, Precision::fp32}, 1, 7, 1, 7, 2, false, true},
    {"paired", kDims, 1, {false, false, Precision::fp32}, 2, 17, 3, 5, 2, true, true, true},
    {"paired, no audio", kDims, 1, {false, false, Precision::bf16}, 2, 9, 4, 1, 2, true, false, true},
    {"bf16", kDims, 1, {false, false, Precision::bf16}, 1, 17, 3, 5, 2, true, true},
    {"fp16", kDims, 1, {false, false, Precision::fp16}, 1, 17, 3, 5, 2, true, true},
};

// Rows are dealt out unevenly; there is shared memory for no weights, for some layers, for all, for some rows of one.
const CudaGeometry kPlain[] = {{false, false, 2, 64, 1 << 20}, {false, true, 2, 64, 1 << 20}};
const CudaGeometry kPersistent[] = {{true, false, 1, 32, 0},         {true, true, 1, 32, 0},
                                    {true, false, 2, 64, 140000},    {true, true, 2, 64, 140000},
                                    {true, false, 3, 32, 1 << 20}, {true, true, 3, 32, 1 << 20},
                                    {true, true, 2, 64, 9000}};

// Memory on 16 bytes, full of NaNs, of exactly its size.
struct Workspace {
  explicit Workspace(std::size_t bytes) : at(static_cast<unsigned char*>(::operator new(bytes, std::align_val_t{16}))) {
    std::fill(at, at + bytes, static_cast<unsigned char>(0xff));
  }
  ~Workspace() { ::operator delete(at, std::align_val_t{16}); }
  unsigned char* at;
};

CudaBank on_device(const Bank& bank) {
  return {{{bank.rows.data, bank.rows.shape}, bank.times, bank.lengths}, Element::f32};
}

CudaSkimInput on_device(const SkimInput& input) {
  return {{on_device(input.banks[0]), on_device(input.banks[1])}, input.timestamps, input.lengths, input.steps};
}

void compare(const Case& c, const CudaGeometry& geometry) {
  const RandomWeights weights(c.dims, c.query_layers, 11, c.paired);
  const Videos videos(c.batch, c.moments, c.image, c.audio, c.dims.feature);
  const SkimInput input = videos.input(c.steps, c.has_image, c.has_audio);
  Outputs wanted(videos, c.steps, c.dims), got(videos, c.steps, c.dims);
  // Half precision is judged against the reference (tests/kernels); here it has to run as the float kernels do.
  Settings exact = c.settings;
  exact.precision = Precision::fp32;
  Skimmer(weights.tensors(), exact, Isa::portable, 1).run(input, wanted.views);
  const CudaSkimmer skimmer(weights.tensors(), c.settings);
  const CudaSkimInput device_input = on_device(input);
  const Workspace workspace(skimmer.workspace_bytes(device_input, geometry.projected));
  skimmer.check(device_input);
  skimmer.run(device_input, got.views, workspace.at, geometry, nullptr);
  CHECK(got.ends_in_logits());
  const float distance = got.distance(wanted);
  const float allowed = c.settings.precision == Precision::fp32 ? 1e-5f : 0.1f;
  if (!(distance < allowed)) std::printf("  %s: distance %g\n", c.name, static_cast<double>(distance));
  CHECK(distance < allowed);
}

}  // namespace

TEST(cuda_kernels_equal_the_cpu_path) {
  for (const Case& c : kCases) compare(c, kPlain[0]);
  compare(kCases[0], kPlain[1]);
}

TEST(persistent_kernel_equals_the_cpu_path) {
  for (const CudaGeometry& geometry : kPersistent) compare(kCases[0], geometry);
  for (const Case& c : kCases) compare(c, kPersistent[3]);
  compare(kCases[1], kPersistent[2]);
}

TEST(what_a_device_holds_cannot_lead_a_kernel_out_of_its_arrays) {
  const Dims dims = kDims;
  const RandomWeights weights(dims, 1, 3, true);
  Videos videos(2, 9, 4, 5, dims.feature);
  videos.lengths = {-7, 1000};
  videos.bank_lengths[0] = {0, 1 << 30};
  std::reverse(videos.times[1].begin(), videos.times[1].end());
  videos.timestamps[2] = std::numeric_limits<double>::quiet_NaN();
  const CudaSkimmer skimmer(weights.tensors(), {false, true, Precision::fp32});
  const CudaSkimInput input = on_device(videos.input(3));
  for (const CudaGeometry& geometry : {kPlain[0], kPersistent[3]}) {
    Outputs got(videos, 3, dims);
    const Workspace workspace(skimmer.workspace_bytes(input, geometry.projected));
    skimmer.run(input, got.views, workspace.at, geometry, nullptr);  // a sanitizer sees what goes wrong
    CHECK(got.values[1].size() == 2 * 3 * 9);
  }
}

TEST(cuda_interpolation_equals_the_cpu_path) {
  // Before, on, between and after the knots; rows that 3 warps cannot share evenly, with and without fours.
  const std::vector<double> knots{1.0, 2.0, 4.0, 0.0, 0.5, 9.0};
  const std::vector<double> timestamps{0.0, 1.0, 3.5, 4.0, 5.0, 9.0, 0.25, 1.0, -1.0, 8.5};
  for (const std::int64_t size : {37, 40}) {
    std::vector<float> features(static_cast<std::size_t>(2 * 3 * size));
    for (std::size_t i = 0; i < features.size(); ++i) features[i] = static_cast<float>(i * i % 101) - 50.0f;
    const InterpolateInput input{{features.data(), {2, 3, size}}, {knots.data(), {2, 3}}, {timestamps.data(), {2, 5}}};
    std::vector<float> wanted(static_cast<std::size_t>(2 * 5 * size)), got(wanted.size(), -1e9f);
    interpolate(Isa::portable, input, {wanted.data(), {2, 5, size}});
    interpolate_cuda({features.data(), Element::f32, knots.data(), timestamps.data(), 2, 3, 5, size}, got.data(),
                     {1, 96}, nullptr);
    float distance = 0.0f;
    for (std::size_t i = 0; i < got.size(); ++i) distance = std::max(distance, std::fabs(got[i] - wanted[i]));
    CHECK(distance < 1e-4f);
  }
}

// As many rows as blocks: each block sums one, though the first could sum two.
static void score_few(const float* values, const float* query, float* out, int blocks) {
  cuda::score(values, 64, query, 0, nullptr, 1, blocks, out);
}

TEST(few_rows_are_scored_by_many_processors) {
  constexpr int kBlocks = 4, kWidth = 64;
  std::vector<float> values(kBlocks * kWidth, 0.5f), query(kWidth, 2.0f), out(kBlocks, -1.0f);
  std::atomic<bool> summing[kBlocks] = {};
  cuda::summing_blocks = summing;
  const float *from = values.data(), *with = query.data();
  cuda::launch(score_few, {kBlocks, 64, 0, false}, nullptr, from, with, out.data(), int{kBlocks});
  cuda::summing_blocks = nullptr;
  for (int b = 0; b < kBlocks; ++b) {
    CHECK(summing[b]);
    CHECK(out[static_cast<std::size_t>(b)] == kWidth);
  }
}

TEST(weights_are_kept_row_by_row) {
  const Case& c = kCases[0];
  const RandomWeights weights(c.dims, c.query_layers, 11);
  const Videos videos(c.batch, c.moments, c.image, c.audio, c.dims.feature);
  const CudaSkimInput input = on_device(videos.input(c.steps));
  const CudaSkimmer skimmer(weights.tensors(), c.settings);
  int before = -1;
  for (std::size_t room = 0; room <= 40000; room += 1000) {
    const CudaKept kept = skimmer.kept(input, {true, true, 2, 64, room});
    CHECK(kept.of == 4);  // 7 units over 2 blocks
    CHECK(kept.rows >= before);
    CHECK(kept.rows <= before + 1);  // a row more at a time
    before = kept.rows;
  }
  CHECK(before == 4);
}

TEST(cuda_gather_copies_rows) {
  for (const std::int64_t size : {37, 40}) {
    std::vector<float> features(static_cast<std::size_t>(2 * 3 * size));
    for (std::size_t i = 0; i < features.size(); ++i) features[i] = static_cast<float>(i);
    const std::vector<std::int64_t> order{2, 0, 2, 1, -7, 1 << 20, 1, 0};
    const std::int64_t meant[] = {2, 0, 2, 1, 0, 2, 1, 0};
    std::vector<float> got(static_cast<std::size_t>(2 * 4 * size), -1.0f);
    gather_cuda({features.data(), Element::f32, order.data(), 2, 3, 4, size}, got.data(), {2, 96}, nullptr);
    for (std::int64_t row = 0; row < 8; ++row) {
      const float* wanted = features.data() + (row / 4 * 3 + meant[row]) * size;
      CHECK(std::equal(wanted, wanted + size, got.data() + row * size));
    }
  }
}

TEST(cuda_soft_index_equals_the_cpu_path) {
  constexpr std::int64_t kSize = 11;
  const Videos videos(3, 13, 4, 6, kSize);
  std::vector<float> queries[2], shares{0.25f, 0.75f, -3.0f, 5.0f, 0.0f, 0.0f};
  std::vector<unsigned char> excluded(3 * 13, 0);
  for (std::size_t i = 0; i < excluded.size(); i += 3) excluded[i] = 1;
  std::fill(excluded.begin() + 13, excluded.begin() + 26, static_cast<unsigned char>(1));  // all: as if none
  for (int m = 0; m < 2; ++m) {
    for (std::int64_t i = 0; i < 3 * kSize; ++i) queries[m].push_back(static_cast<float>((i * 7 + m) % 5) * 0.3f - 0.5f);
  }
  const SoftIndexInput input{{videos.bank(0), videos.bank(1)}, {videos.timestamps.data(), {3, 13}},
                             {videos.lengths.data(), {3}},
                             {{queries[0].data(), {3, kSize}}, {queries[1].data(), {3, kSize}}}, {shares.data(), {3, 2}},
                             {{excluded.data(), {3, 13}}, {}}};
  std::vector<float> wanted[4], got[4];
  const auto views = [](std::vector<float> (&values)[4]) {
    return SoftIndexOutput{{{values[0].data(), {3, kSize}}, {values[1].data(), {3, kSize}}},
                           {{values[2].data(), {3, 13}}, {values[3].data(), {3, 13}}}};
  };
  for (int i = 0; i < 4; ++i) {
    wanted[i].resize(static_cast<std::size_t>(3 * (i < 2 ? kSize : 13)));
    got[i].assign(wanted[i].size(), -1e9f);
  }
  soft_index(Isa::portable, Precision::fp32, input, views(wanted));
  const CudaSoftIndexInput device_input{{on_device(input.banks[0]), on_device(input.banks[1])}, input.timestamps,
                                        input.lengths, {input.queries[0], input.queries[1]}, input.modality_scores,
                                        {input.excluded[0], {}}};
  check_soft_index(device_input);
  const Workspace workspace(soft_index_workspace_bytes(Precision::fp32, device_input));
  soft_index_cuda(Precision::fp32, device_input, views(got), workspace.at, {2, 64}, nullptr);
  for (int i = 0; i < 4; ++i) {
    float distance = 0.0f;
    for (std::size_t k = 0; k < got[i].size(); ++k) distance = std::max(distance, std::fabs(got[i][k] - wanted[i][k]));
    CHECK(distance < 1e-4f);
  }
}
