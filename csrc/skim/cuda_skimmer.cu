#include "skim/cuda_skimmer.h"

#include "base/device.h"

#include "skim/cuda_model.h"
#include "skim/cuda_pairing.h"
#include "skim/cuda_phases.h"
#include "skim/cuda_shared.h"

namespace l2l {
namespace cuda {

#ifdef L2L_PHASE_TIMES
constexpr bool kPhaseTimes = true;
#else
constexpr bool kPhaseTimes = false;
#endif

// The block's own times of row `row` of `times`; what lies between one row's last end and the next row's first begin
// is the barrier's, or with a launch a phase the launch's.
template <bool kTimed>
__device__ inline void note_time(unsigned long long* times, int row, bool ends) {
  if constexpr (kTimed) {
    if (ends) __syncthreads();  // the last warp is done
    if (threadIdx.x == 0) times[(static_cast<long long>(row) * gridDim.x + blockIdx.x) * 2 + (ends ? 1 : 0)] = global_timer();
  }
}

// Phases [begin, end) of a run; more than one only in a cooperative launch.
template <class T, bool kTimed>
__global__ void __launch_bounds__(kMostThreads, 1) skim_kernel(DeviceRun<T> run, int begin, int end) {
  if (begin == 0) note_time<kTimed>(run.times, 0, false);
  keep(run.model.gates);
  keep(run.model.fusion_in);
  keep(run.model.ask);
  for (int m = 0; m < 2; ++m) keep(run.model.heads[m].second);
  __syncthreads();
  if (begin == 0) note_time<kTimed>(run.times, 0, true);
  for (int i = begin; i < end; ++i) {
    note_time<kTimed>(run.times, i + 1, false);
    do_phase(run, run.steps.phase(i), run.steps.t(i));
    note_time<kTimed>(run.times, i + 1, true);
    if (i + 1 < end) grid_barrier();
  }
}

static Steps steps_of(bool keys, bool hidden, bool projected, int count) {
  Steps steps;
  steps.steps = count;
  const auto first = [&](Phase phase) { steps.prelude[steps.prelude_count++] = phase; };
  const auto each = [&](Phase phase) { steps.step[steps.step_count++] = phase; };
  first(Phase::prepare);
  if (keys) {
    first(Phase::multiply_keys);
    first(Phase::make_keys);
  }
  if (projected) {
    first(Phase::project);
    each(Phase::fuse_projected);
  } else {
    each(Phase::mix);
    each(Phase::index);
    each(Phase::fuse);
  }
  each(Phase::cell);
  if (hidden || !projected) each(Phase::ask);
  if (hidden && !projected) each(Phase::second);
  each(Phase::score);
  return steps;
}

}  // namespace cuda

class CudaSkimmer::Model {
 public:
  virtual ~Model() = default;
  virtual std::size_t workspace_bytes(const CudaSkimInput& input, bool projected) const = 0;
  virtual std::size_t least_shared_bytes(const CudaSkimInput& input, const CudaGeometry& geometry) const = 0;
  virtual int resident_blocks(int threads, std::size_t shared_bytes) const = 0;
  virtual cuda::Steps steps(const CudaSkimInput& input, bool projected) const = 0;
  virtual CudaKept kept(const CudaSkimInput& input, const CudaGeometry& geometry) const = 0;
  virtual void run(const CudaSkimInput& input, const SkimOutput& output, void* workspace,
                   const CudaGeometry& geometry, void* stream, unsigned long long* times) const = 0;
};

template <class T>
class CudaSkimmer::TypedModel final : public CudaSkimmer::Model {
 public:
  TypedModel(const Weights& weights, const Settings& settings)
      : model_(cuda::place_model(placing_, weights, settings)),
        relu_keys_(settings.relu_keys),
        excluding_(settings.exclude_previous_argmax),
        paired_(weights.paired) {
    const Pairing* pairings[] = {&weights.pair_image, &weights.pair_audio};
    for (int m = 0; m < 2 && paired_; ++m) {
      const Linear &first = pairings[m]->first, &second = pairings[m]->second;
      pairs_[m] = {placing_.single(first, first.out, weights.feature), placing_.single(second, second.out, second.in)};
    }
  }

  std::size_t workspace_bytes(const CudaSkimInput& input, bool projected) const override {
    Run run = describe(input, projected);
    cuda::Arena counting(nullptr);
    lay_out(run, counting);
    cuda::PairSide sides[2];
    lay_out_pairs(input, sides, counting);
    return counting.used();
  }
  std::size_t least_shared_bytes(const CudaSkimInput& input, const CudaGeometry& geometry) const override {
    Run run = describe(input, geometry.projected);
    return cuda::share_out(run, geometry.blocks, geometry.threads);
  }
  int resident_blocks(int threads, std::size_t shared_bytes) const override {
    return cuda::resident_blocks(cuda::skim_kernel<T, false>, threads, shared_bytes);
  }
  cuda::Steps steps(const CudaSkimInput& input, bool projected) const override {
    return describe(input, projected).steps;
  }
  CudaKept kept(const CudaSkimInput& input, const CudaGeometry& geometry) const override {
    Run run = describe(input, geometry.projected);
    const std::size_t least = cuda::share_out(run, geometry.blocks, geometry.threads);
    if (geometry.persistent) cuda::keep_what_fits(run, geometry.blocks, least, geometry.shared_bytes);
    CudaKept all;
    for (const cuda::Layer<T>* layer : cuda::layers_to_keep(run)) {
      all.rows += layer->kept;
      all.of += cuda::owned_rows(layer->out, 0, geometry.blocks);
    }
    return all;
  }
  void run(const CudaSkimInput& input, const SkimOutput& output, void* workspace, const CudaGeometry& geometry,
           void* stream, unsigned long long* times) const override;

 private:
  using Run = cuda::DeviceRun<T>;

  Run describe(const CudaSkimInput& input, bool projected) const;
  void lay_out(Run& run, cuda::Arena& arena) const;
  void lay_out_bank(Run& run, int m, cuda::Arena& arena) const;
  void lay_out_pairs(const CudaSkimInput& input, cuda::PairSide (&sides)[2], cuda::Arena& arena) const;
  void join(Run& run, const cuda::PairSide& side, const CudaGeometry& geometry, cuda::Stream stream) const;
  static void launch(const Run& run, int begin, int end, const cuda::Shape& shape, cuda::Stream stream);

  cuda::Placing<T> placing_;
  const cuda::DeviceModel<T> model_;
  const bool relu_keys_, excluding_, paired_;
  cuda::DevicePair<T> pairs_[2];
};

template <class T>
cuda::DeviceRun<T> CudaSkimmer::TypedModel<T>::describe(const CudaSkimInput& input, bool projected) const {
  Run run;
  run.model = model_;
  run.projected = projected;
  run.steps = cuda::steps_of(relu_keys_, model_.heads[0].hidden || model_.heads[1].hidden, projected,
                             static_cast<int>(input.steps));
  const auto [batch, moments] = input.timestamps.shape;
  run.moments = {input.timestamps.data, cuda::device_lengths(input.lengths), static_cast<int>(batch),
                 static_cast<int>(moments), model_.feature, model_.feature_width};
  for (int m = 0; m < 2; ++m) {
    if (!input.banks[m].present()) continue;
    run.banks[m] = cuda::device_bank<T>(input.banks[m]);
    if (!relu_keys_) continue;
    run.banks[m].scored = run.moments.count;
    run.banks[m].key_width = static_cast<int>(padded(model_.heads[m].key.out));
  }
  return run;
}

template <class T>
void CudaSkimmer::TypedModel<T>::lay_out_bank(Run& run, int m, cuda::Arena& arena) const {
  cuda::DeviceBank<T>& bank = run.banks[m];
  const cuda::DeviceHead<T>& head = model_.heads[m];
  const std::int64_t batch = run.moments.batch, moments = batch * run.moments.count, knots = batch * bank.knots;
  bank.rows = arena.take<T>(knots * run.moments.stride);
  bank.lower = arena.take<int>(moments);
  bank.fraction = arena.take<float>(moments);
  bank.scores = arena.take<float>(batch * bank.scored);
  if (relu_keys_) {
    bank.keys = arena.take<T>(moments * bank.key_width);
  }
  if (excluding_) {
    bank.masked = arena.take<unsigned char>(moments);
    run.chosen[m] = arena.take<int>(batch);
    run.masked_count[m] = arena.take<int>(batch);
  }
  if (run.projected) {
    run.mixing[m] = arena.take<float>(batch * model_.fusion_in.out * cuda::spread_width(bank.knots));
    run.scoring[m] = arena.take<float>(batch * bank.scored * (head.scoring.out - 1));
    run.scoring_bias[m] = arena.take<float>(batch * bank.scored);
  } else {
    bank.spread = arena.take<long long>(knots);
  }
}

template <class T>
void CudaSkimmer::TypedModel<T>::lay_out(Run& run, cuda::Arena& arena) const {
  const std::int64_t batch = run.moments.batch;
  run.zeroed = arena.take<float>(0);
  run.fused = arena.take<float>(batch * run.steps.steps * model_.fused_width);
  run.fused_means = arena.take<float>(batch * run.steps.steps * model_.fused_width);
  for (float*& h : run.h) h = arena.take<float>(batch * model_.state_width);
  run.asked = arena.take<float>(batch * model_.asked_width);
  for (int m = 0; m < 2; ++m) {
    if (model_.heads[m].hidden) run.query[m] = arena.take<float>(batch * cuda::query_width(model_.heads[m]));
    const cuda::DeviceBank<T>& bank = run.banks[m];
    // Keys are compared up to their padding, and their products become keys.
    if (bank.source != nullptr && relu_keys_) {
      run.banks[m].products = arena.take<float>(batch * bank.knots * bank.key_width);
    }
  }
  run.zeroed_count = static_cast<long long>(arena.used() / sizeof(float));
  for (int m = 0; m < 2; ++m) {
    if (run.banks[m].source != nullptr) lay_out_bank(run, m, arena);
  }
  run.mixed = arena.take<float>(batch * model_.fusion_in.in);
  run.fused_sum = arena.take<float>(batch * model_.fused_width);
  run.c = arena.take<float>(batch * model_.state_width);
  run.modality_logits = arena.take<float>(batch * 2);
}

// Preset `paired`: what joining a bank takes, with the bank that comes of it.
template <class T>
void CudaSkimmer::TypedModel<T>::lay_out_pairs(const CudaSkimInput& input, cuda::PairSide (&sides)[2],
                                               cuda::Arena& arena) const {
  for (int m = 0; m < 2; ++m) {
    if (!paired_ || !input.banks[m].present()) continue;
    cuda::PairSide& side = sides[m];
    side.own = cuda::bank_source(input.banks[m]);
    side.other = cuda::bank_source(input.banks[1 - m]);
    side.part = m;
    side.rows = static_cast<long long>(input.timestamps.shape[0]) * side.own.knots;
    side.both = arena.take<float>(side.rows * pairs_[m].first.in);
    side.hidden = arena.take<float>(side.rows * pairs_[m].second.in);
    side.joined = arena.take<float>(side.rows * model_.feature);
  }
}

template <class T>
void CudaSkimmer::TypedModel<T>::join(Run& run, const cuda::PairSide& side, const CudaGeometry& geometry,
                                      cuda::Stream stream) const {
  const cuda::DevicePair<T>& pair = pairs_[side.part];
  const int width = model_.feature_width;
  const float *both = side.both, *hidden = side.hidden, *own = side.both + side.part * width, *none = nullptr;
  const auto first = cuda::rows_kernel<T, false>, second = cuda::rows_kernel<T, true>;
  const auto shape = [&](auto kernel) { return cuda::shape_of(kernel, {0, geometry.threads}, 0); };
  cuda::launch(cuda::pair_kernel, shape(cuda::pair_kernel), stream, side, model_.feature, width);
  cuda::launch(first, shape(first), stream, pair.first, both, side.rows, none, 0, side.hidden, pair.second.in);
  cuda::launch(second, shape(second), stream, pair.second, hidden, side.rows, own, 2 * width, side.joined,
               model_.feature);
  run.banks[side.part].source = side.joined;
  run.banks[side.part].element = Element::f32;
}

template <class T>
void CudaSkimmer::TypedModel<T>::launch(const Run& run, int begin, int end, const cuda::Shape& shape,
                                        cuda::Stream stream) {
  if constexpr (cuda::kPhaseTimes) {
    if (run.times != nullptr) return cuda::launch(cuda::skim_kernel<T, true>, shape, stream, run, begin, end);
  }
  cuda::launch(cuda::skim_kernel<T, false>, shape, stream, run, begin, end);
}

template <class T>
void CudaSkimmer::TypedModel<T>::run(const CudaSkimInput& input, const SkimOutput& output, void* workspace,
                                     const CudaGeometry& geometry, void* stream, unsigned long long* times) const {
  Run run = describe(input, geometry.projected);
  cuda::Arena arena(workspace);
  lay_out(run, arena);
  cuda::PairSide sides[2];
  lay_out_pairs(input, sides, arena);
  run.logits = output.logits.data;
  run.modality_scores = output.modality_scores.data;
  run.step_features = output.step_features.data;
  run.step_logits = output.step_logits.data;
  for (int m = 0; m < 2; ++m) run.attention[m] = output.attention[m].data;
  run.times = times;
  const std::size_t least = cuda::share_out(run, geometry.blocks, geometry.threads);
  const auto queue = static_cast<cuda::Stream>(stream);
  for (const cuda::PairSide& side : sides) {
    if (side.rows > 0) join(run, side, geometry, queue);
  }
  if (geometry.persistent) {
    const std::size_t shared = cuda::keep_what_fits(run, geometry.blocks, least, geometry.shared_bytes);
    launch(run, 0, run.steps.count(), {geometry.blocks, geometry.threads, shared, true}, queue);
    return;
  }
  for (int i = 0; i < run.steps.count(); ++i) {
    launch(run, i, i + 1, {geometry.blocks, geometry.threads, least, false}, queue);
  }
}

CudaSkimInput sized_input(std::int64_t batch, std::int64_t moments, std::int64_t image_knots, std::int64_t audio_knots,
                          std::int64_t steps) {
  check_steps(steps);
  require(batch >= 1 && batch <= kMostCudaRows, "batch: ", batch, " is out of range");
  require(moments >= 1 && moments <= kMostCudaRows, "moments: ", moments, " is out of range");
  CudaSkimInput input;
  input.timestamps.shape = {batch, moments};
  input.steps = steps;
  const std::int64_t knots[] = {image_knots, audio_knots};
  for (int m = 0; m < 2; ++m) {
    require(knots[m] >= 0 && knots[m] <= kMostCudaRows, m == 0 ? "image" : "audio", "_knots: ", knots[m],
            " is out of range");
    static constexpr char kThere = 0;  // it is only asked whether there are rows
    if (knots[m] > 0) input.banks[m].rows = {&kThere, {batch, knots[m], 0}};
  }
  require(image_knots + audio_knots > 0, "image_knots: neither modality is present");
  return input;
}

CudaSkimmer::CudaSkimmer(const TensorMap& tensors, const Settings& settings)
    : CudaSkimmer(load_weights(tensors, settings), settings) {}

CudaSkimmer::CudaSkimmer(const Weights& weights, const Settings& settings)
    : settings_(settings), feature_(weights.feature), classes_(weights.classes), visual_only_(weights.visual_only) {
  switch (settings.precision) {
    case Precision::fp32: model_ = std::make_unique<TypedModel<float>>(weights, settings); break;
    case Precision::bf16: model_ = std::make_unique<TypedModel<cuda::Bf16>>(weights, settings); break;
    case Precision::fp16: model_ = std::make_unique<TypedModel<cuda::Fp16>>(weights, settings); break;
  }
}

CudaSkimmer::~CudaSkimmer() = default;

CudaGeometry CudaSkimmer::geometry(const CudaSkimInput& input, std::optional<bool> persistent,
                                   std::optional<bool> projected) const {
  const CudaGeometry chosen = chosen_geometry(input);
  if (!persistent && !projected) return chosen;
  return made_geometry(input, persistent.value_or(chosen.persistent), projected.value_or(chosen.projected));
}

CudaGeometry CudaSkimmer::made_geometry(const CudaSkimInput& input, bool persistent, bool projected) const {
  const cuda::Room room = cuda::room();
  CudaGeometry geometry{persistent, projected, room.processors, room.threads, room.shared_bytes};
  const std::size_t least = model_->least_shared_bytes(input, geometry);
  require(least <= room.shared_bytes, "image_bank: too many knots to project on this GPU");
  if (persistent) {
    require(room.cooperative && model_->resident_blocks(geometry.threads, room.shared_bytes) >= geometry.blocks,
            "launches: this GPU cannot run all steps in one launch");
  } else {
    // In whole KiB, so that there are few questions to ask; more blocks take no more each.
    const std::size_t whole = std::min((least + 1023) / 1024 * 1024, room.shared_bytes);
    geometry.blocks = model_->resident_blocks(geometry.threads, whole);
    require(geometry.blocks > 0, "launches: this GPU has no room for a block of the skimmer");
  }
  return geometry;
}

// One launch saves launches and weight traffic, but waits for the whole grid between phases: for few videos. Projecting
// makes rows once, and saves every step three phases and their barriers; docs/gpu.md estimates 22 to 40 us for 164 rows
// and 4 us a step on an H200. The bounds are guesses until a GPU has measured them.
CudaGeometry CudaSkimmer::chosen_geometry(const CudaSkimInput& input) const {
  constexpr std::int64_t kFewVideos = 4, kRowsWorthAStep = 20;
  std::int64_t rows = 0;
  for (const CudaBank& bank : input.banks) {
    if (bank.present()) rows += bank.knots() + (settings_.relu_keys ? input.timestamps.shape[1] : bank.knots());
  }
  const std::int64_t batch = input.timestamps.shape[0];
  const bool projected = batch * rows <= input.steps * kRowsWorthAStep;
  if (batch <= kFewVideos) {
    try {
      return made_geometry(input, true, projected);
    } catch (const std::invalid_argument&) {
      // A small GPU, or a share of one.
    }
  }
  return made_geometry(input, false, false);
}

std::size_t CudaSkimmer::workspace_bytes(const CudaSkimInput& input, bool projected) const {
  return model_->workspace_bytes(input, projected);
}

void CudaSkimmer::check_workspace(const CudaSkimInput& input, bool projected, const void* workspace,
                                  std::size_t bytes) const {
  const std::size_t needed = workspace_bytes(input, projected);
  require(bytes >= needed, "space: the workspace has ", bytes, " bytes, this run needs ", needed);
  require(reinterpret_cast<std::uintptr_t>(workspace) % 16 == 0, "space: the workspace must begin on 16 bytes");
}

void CudaSkimmer::run(const CudaSkimInput& input, const SkimOutput& output, void* workspace,
                      const CudaGeometry& geometry, void* stream, unsigned long long* times) const {
  if (times != nullptr && !cuda::kPhaseTimes) {
    throw cuda::DeviceError("phase times: this build has none; build it with -DL2L_PHASE_TIMES=ON");
  }
  model_->run(input, output, workspace, geometry, stream, times);
}

std::vector<CudaPhase> CudaSkimmer::phases(const CudaSkimInput& input, bool projected) const {
  const cuda::Steps steps = model_->steps(input, projected);
  std::vector<CudaPhase> all{{"keep", -1}};
  for (int i = 0; i < steps.count(); ++i) {
    const bool in_step = i >= steps.prelude_count && i < steps.count() - 1;
    all.push_back({cuda::kPhaseNames[static_cast<int>(steps.phase(i))], in_step ? steps.t(i) : -1});
  }
  return all;
}

CudaKept CudaSkimmer::kept(const CudaSkimInput& input, const CudaGeometry& geometry) const {
  return model_->kept(input, geometry);
}

}  // namespace l2l
