#include "skim/cuda_skimmer.h"

#include "skim/cuda_model.h"
#include "skim/cuda_pairing.h"
#include "skim/cuda_phases.h"

namespace l2l {
namespace cuda {

// Phases [begin, end) of a run; more than one only in a cooperative launch.
template <class T>
__global__ void __launch_bounds__(kMostThreads, 1) skim_kernel(DeviceRun<T> run, int begin, int end) {
  keep(run.model.gates);
  keep(run.model.fusion_in);
  keep(run.model.ask);
  for (int m = 0; m < 2; ++m) keep(run.model.heads[m].second);
  __syncthreads();
  for (int i = begin; i < end; ++i) {
    do_phase(run, run.steps.phase(i), run.steps.t(i));
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

static std::size_t on_16(std::size_t bytes) { return (bytes + 15) / 16 * 16; }

}  // namespace cuda

class CudaSkimmer::Model {
 public:
  virtual ~Model() = default;
  virtual std::size_t workspace_bytes(const CudaSkimInput& input, bool projected) const = 0;
  virtual std::size_t least_shared_bytes(const CudaSkimInput& input, const CudaGeometry& geometry) const = 0;
  virtual int resident_blocks(const CudaGeometry& geometry) const = 0;
  virtual void run(const CudaSkimInput& input, const SkimOutput& output, void* workspace,
                   const CudaGeometry& geometry, void* stream) const = 0;
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
    return share_out(run, geometry);
  }
  int resident_blocks(const CudaGeometry& geometry) const override {
    return cuda::resident_blocks(cuda::skim_kernel<T>, cuda::room().processors, geometry.threads,
                                 geometry.shared_bytes);
  }
  void run(const CudaSkimInput& input, const SkimOutput& output, void* workspace, const CudaGeometry& geometry,
           void* stream) const override;

 private:
  using Run = cuda::DeviceRun<T>;

  Run describe(const CudaSkimInput& input, bool projected) const;
  void lay_out(Run& run, cuda::Arena& arena) const;
  void lay_out_bank(Run& run, int m, cuda::Arena& arena) const;
  void lay_out_pairs(const CudaSkimInput& input, cuda::PairSide (&sides)[2], cuda::Arena& arena) const;
  void join(Run& run, const cuda::PairSide& side, const CudaGeometry& geometry, cuda::Stream stream) const;
  static std::size_t share_out(Run& run, const CudaGeometry& geometry);
  static std::size_t keep_what_fits(Run& run, const CudaGeometry& geometry, std::size_t least);

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
  const cuda::Shape shape{geometry.blocks, geometry.threads, 0, false};
  const int width = model_.feature_width;
  const float *both = side.both, *hidden = side.hidden, *own = side.both + side.part * width, *none = nullptr;
  cuda::launch(cuda::pair_kernel, shape, stream, side, model_.feature, width);
  cuda::launch(cuda::rows_kernel<T, false>, shape, stream, pair.first, both, side.rows, none, 0, side.hidden,
               pair.second.in);
  cuda::launch(cuda::rows_kernel<T, true>, shape, stream, pair.second, hidden, side.rows, own, 2 * width, side.joined,
               model_.feature);
  run.banks[side.part].source = side.joined;
  run.banks[side.part].element = Element::f32;
}

// Shared memory without kept weights: scratch for index() and cell(), and v. Returns the bytes.
template <class T>
std::size_t CudaSkimmer::TypedModel<T>::share_out(Run& run, const CudaGeometry& geometry) {
  const auto gates = static_cast<std::size_t>(4 * cuda::kTogether * cuda::owned_rows(run.model.gates.out, 0, geometry.blocks));
  const std::size_t scratch = std::max(static_cast<std::size_t>(geometry.threads), gates) * sizeof(float);
  run.spread_at = static_cast<int>(cuda::on_16(scratch));
  const auto knots = static_cast<std::size_t>(cuda::spread_width(run.banks[0].knots) +
                                              cuda::spread_width(run.banks[1].knots));
  return cuda::on_16(scratch) + (run.projected ? knots * (sizeof(long long) + sizeof(float)) : 0);
}

// The largest layers that a step reads are kept in shared memory, as far as they fit. Returns the bytes in use.
template <class T>
std::size_t CudaSkimmer::TypedModel<T>::keep_what_fits(Run& run, const CudaGeometry& geometry, std::size_t least) {
  std::size_t used = least;
  cuda::DeviceModel<T>& model = run.model;
  std::vector<cuda::Layer<T>*> layers{&model.gates};
  if (!run.projected) layers.insert(layers.end(), {&model.fusion_in, &model.heads[0].second, &model.heads[1].second});
  if (!run.projected || model.heads[0].hidden || model.heads[1].hidden) layers.push_back(&model.ask);
  for (cuda::Layer<T>* layer : layers) {
    const std::size_t bytes = static_cast<std::size_t>(cuda::owned_rows(layer->out, 0, geometry.blocks)) *
                              static_cast<std::size_t>(layer->in) * sizeof(T);
    if (bytes == 0 || used + bytes > geometry.shared_bytes) continue;
    layer->kept_at = static_cast<long long>(used);
    used += cuda::on_16(bytes);
  }
  return std::max(least, std::min(used, geometry.shared_bytes));
}

template <class T>
void CudaSkimmer::TypedModel<T>::run(const CudaSkimInput& input, const SkimOutput& output, void* workspace,
                                     const CudaGeometry& geometry, void* stream) const {
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
  const std::size_t least = share_out(run, geometry);
  const auto queue = static_cast<cuda::Stream>(stream);
  for (const cuda::PairSide& side : sides) {
    if (side.rows > 0) join(run, side, geometry, queue);
  }
  if (geometry.persistent) {
    const std::size_t shared = keep_what_fits(run, geometry, least);
    cuda::launch(cuda::skim_kernel<T>, {geometry.blocks, geometry.threads, shared, true}, queue, run, 0,
                 run.steps.count());
    return;
  }
  for (int i = 0; i < run.steps.count(); ++i) {
    cuda::launch(cuda::skim_kernel<T>, {geometry.blocks, geometry.threads, least, false}, queue, run, i, i + 1);
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
  CudaGeometry geometry{persistent, projected, persistent ? room.processors : 4 * room.processors, room.threads,
                        room.shared_bytes};
  const std::size_t least = model_->least_shared_bytes(input, geometry);
  require(least <= room.shared_bytes, "image_bank: too many knots to project on this GPU");
  require(!persistent || (room.cooperative && model_->resident_blocks(geometry) >= geometry.blocks),
          "launches: this GPU cannot run all steps in one launch");
  return geometry;
}

// One launch saves launches and weight traffic, but waits for the whole grid between phases: for few videos. Projecting
// costs as much as some steps, the more the more rows there are. The bounds are guesses until a GPU has measured them.
CudaGeometry CudaSkimmer::chosen_geometry(const CudaSkimInput& input) const {
  constexpr std::int64_t kFewVideos = 4, kFewRows = 1024;
  std::int64_t rows = 0;
  for (const CudaBank& bank : input.banks) {
    if (bank.present()) rows += bank.knots() + (settings_.relu_keys ? input.timestamps.shape[1] : bank.knots());
  }
  const std::int64_t batch = input.timestamps.shape[0];
  const bool projected = batch * rows <= kFewRows;
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
                      const CudaGeometry& geometry, void* stream) const {
  model_->run(input, output, workspace, geometry, stream);
}

}  // namespace l2l
