#include "skim/cuda_skimmer.h"

#include <algorithm>
#include <vector>

#include "base/cuda_memory.h"
#include "base/padding.h"
#include "skim/cuda_phases.h"

namespace l2l {
namespace cuda {

// Scratch at the front of shared memory: a float a thread (see index()).
constexpr std::size_t kScratchAThread = sizeof(float);

template <class T>
__global__ void phase_kernel(DeviceRun<T> run, Phase phase, int t) {
  do_phase(run, phase, t);
}

template <class T>
__global__ void persistent_kernel(DeviceRun<T> run) {
  const DeviceModel<T>& model = run.model;
  for (const Layer<T>* layer : {&model.gates, &model.fusion_in, &model.state, &model.fusion_out,
                                &model.heads[0].second, &model.heads[1].second}) {
    if (layer->kept_at >= 0) keep(*layer);
  }
  __syncthreads();
  const int count = step_count(run);
  for (int i = 0; i < count; ++i) {
    const Step step = step_at(run, i);
    do_phase(run, step.phase, step.t);
    grid_barrier();
  }
}

static const long long* device_lengths(const View<const std::int64_t, 1>& lengths) {
  static_assert(sizeof(long long) == sizeof(std::int64_t));
  return reinterpret_cast<const long long*>(lengths.data);
}

}  // namespace cuda

class CudaSkimmer::Model {
 public:
  virtual ~Model() = default;
  virtual std::size_t workspace_bytes(const SkimInput& input) const = 0;
  virtual void run(const SkimInput& input, const SkimOutput& output, void* workspace, const CudaGeometry& geometry,
                   void* stream) const = 0;
};

template <class T>
class CudaSkimmer::TypedModel final : public CudaSkimmer::Model {
 public:
  TypedModel(const Weights& weights, const Settings& settings);
  std::size_t workspace_bytes(const SkimInput& input) const override;
  void run(const SkimInput& input, const SkimOutput& output, void* workspace, const CudaGeometry& geometry,
           void* stream) const override;

 private:
  using Run = cuda::DeviceRun<T>;
  struct Part {
    const Linear* layer;
    std::int64_t row;
  };

  // A device layer of `rows` rows out of host layers stacked at their rows; inputs in parts, each padded.
  cuda::Layer<T> stack(const std::vector<Part>& parts, std::int64_t rows, std::int64_t input_part);
  cuda::Layer<T> gates(const Weights& weights);
  cuda::Layer<T> send(const std::vector<T>& weight, const std::vector<float>& bias, std::int64_t out,
                      std::int64_t in, std::int64_t used);
  void lay_out(Run& run, cuda::Arena& arena) const;
  Run describe(const SkimInput& input) const;
  static std::size_t keep_what_fits(Run& run, const CudaGeometry& geometry);

  std::vector<std::unique_ptr<cuda::Owned>> memory_;
  cuda::DeviceModel<T> model_;
  bool excluding_;
};

template <class T>
CudaSkimmer::TypedModel<T>::TypedModel(const Weights& w, const Settings& settings)
    : excluding_(settings.exclude_previous_argmax) {
  model_.feature = static_cast<int>(w.feature);
  model_.feature_width = static_cast<int>(padded(w.feature));
  model_.fused_width = static_cast<int>(padded(w.fused));
  model_.units = static_cast<int>(w.state);
  model_.state_width = static_cast<int>(padded(w.state));
  model_.classes = static_cast<int>(w.classes);
  model_.fusion_in = stack({{&w.fusion_in, 0}}, w.fused, w.feature);
  model_.fusion_out = stack({{&w.fusion_out, 0}}, w.feature, w.fused);
  model_.classifier = stack({{&w.classifier, 0}}, w.classes, w.feature);
  model_.gates = gates(w);
  std::vector<Part> asked;
  std::int64_t rows = 0;
  for (int m = 0; m < (w.visual_only ? 1 : 2); ++m) {
    const Attention& attention = m == 0 ? w.image : w.audio;
    const Linear& first = attention.has_hidden ? attention.hidden : attention.query;
    model_.heads[m].row = static_cast<int>(rows);
    model_.heads[m].end = static_cast<int>(rows + first.out);
    asked.push_back({&first, rows});
    rows += padded(first.out);
    if (attention.has_hidden) {
      model_.heads[m].second = stack({{&attention.query, 0}}, padded(attention.query.out), attention.query.in);
    }
    if (settings.relu_keys) model_.heads[m].key = stack({{&attention.key, 0}}, padded(attention.key.out), w.feature);
  }
  model_.modality_row = static_cast<int>(rows);
  if (!w.visual_only) asked.push_back({&w.modality, rows});
  model_.state = stack(asked, rows + (w.visual_only ? 0 : 2), w.state);
}

template <class T>
cuda::Layer<T> CudaSkimmer::TypedModel<T>::send(const std::vector<T>& weight, const std::vector<float>& bias,
                                                std::int64_t out, std::int64_t in, std::int64_t used) {
  const auto put = [this](const void* from, std::size_t bytes) {
    memory_.push_back(std::make_unique<cuda::Owned>(bytes));
    cuda::upload(memory_.back()->get(), from, bytes);
    return memory_.back()->get();
  };
  cuda::Layer<T> layer;
  layer.weight = static_cast<const T*>(put(weight.data(), weight.size() * sizeof(T)));
  layer.bias = static_cast<const float*>(put(bias.data(), bias.size() * sizeof(float)));
  layer.out = static_cast<int>(out);
  layer.in = static_cast<int>(in);
  layer.used = static_cast<int>(used);
  return layer;
}

template <class T>
cuda::Layer<T> CudaSkimmer::TypedModel<T>::stack(const std::vector<Part>& parts, std::int64_t rows,
                                                 std::int64_t input_part) {
  const std::int64_t in = parts[0].layer->in / input_part * padded(input_part);
  std::vector<T> weight(static_cast<std::size_t>(rows * in), cuda::to_half<T>(0.0f));
  std::vector<float> bias(static_cast<std::size_t>(rows), 0.0f);
  for (const Part& part : parts) {
    for (std::int64_t o = 0; o < part.layer->out; ++o) {
      bias[static_cast<std::size_t>(part.row + o)] = part.layer->bias[static_cast<std::size_t>(o)];
      for (std::int64_t i = 0; i < part.layer->in; ++i) {
        const std::int64_t column = i / input_part * padded(input_part) + i % input_part;
        weight[static_cast<std::size_t>((part.row + o) * in + column)] =
            cuda::to_half<T>(part.layer->weight[static_cast<std::size_t>(o * part.layer->in + i)]);
      }
    }
  }
  return send(weight, bias, rows, in, parts.back().row + parts.back().layer->out);
}

template <class T>
cuda::Layer<T> CudaSkimmer::TypedModel<T>::gates(const Weights& w) {
  const std::int64_t width = model_.feature_width + model_.state_width;
  std::vector<T> weight(static_cast<std::size_t>(4 * w.state * width), cuda::to_half<T>(0.0f));
  std::vector<float> bias(static_cast<std::size_t>(4 * w.state));
  for (std::int64_t o = 0; o < 4 * w.state; ++o) {
    const std::int64_t to = 4 * (o % w.state) + o / w.state;
    bias[static_cast<std::size_t>(to)] = w.lstm_input.bias[static_cast<std::size_t>(o)];
    T* row = &weight[static_cast<std::size_t>(to * width)];
    const float* input = &w.lstm_input.weight[static_cast<std::size_t>(o * w.feature)];
    const float* hidden = &w.lstm_hidden.weight[static_cast<std::size_t>(o * w.state)];
    std::transform(input, input + w.feature, row, [](float x) { return cuda::to_half<T>(x); });
    std::transform(hidden, hidden + w.state, row + model_.feature_width, [](float x) { return cuda::to_half<T>(x); });
  }
  return send(weight, bias, w.state, 4 * width, w.state);
}

template <class T>
cuda::DeviceRun<T> CudaSkimmer::TypedModel<T>::describe(const SkimInput& input) const {
  Run run;
  run.model = model_;
  run.steps = static_cast<int>(input.steps);
  run.moments = {input.timestamps.data, cuda::device_lengths(input.lengths), static_cast<int>(input.timestamps.shape[0]),
                 static_cast<int>(input.timestamps.shape[1]), model_.feature, model_.feature_width};
  for (int m = 0; m < 2; ++m) {
    const Bank& bank = m == 0 ? input.image : input.audio;
    if (!bank.present()) continue;
    run.banks[m].source = bank.rows.data;
    run.banks[m].times = bank.times.data;
    run.banks[m].lengths = cuda::device_lengths(bank.lengths);
    run.banks[m].knots = static_cast<int>(bank.rows.shape[1]);
  }
  return run;
}

// The working memory. What must start at 0 comes first, in one piece.
template <class T>
void CudaSkimmer::TypedModel<T>::lay_out(Run& run, cuda::Arena& arena) const {
  const std::int64_t batch = run.moments.batch;
  const std::int64_t moments = batch * run.moments.count;
  run.zeroed = arena.take<float>(0);
  run.mixed = arena.take<float>(batch * model_.fusion_in.in);
  run.hidden = arena.take<float>(batch * model_.fused_width);
  run.mean = arena.take<float>(batch * model_.feature_width);
  run.c = arena.take<float>(batch * model_.state_width);
  for (float*& input : run.input) input = arena.take<float>(batch * cuda::input_width(model_));
  for (cuda::DeviceBank<T>& bank : run.banks) {
    if (bank.source == nullptr) continue;
    bank.spread = arena.take<unsigned long long>(batch * bank.knots);
    if (!excluding_) continue;
    bank.masked = arena.take<unsigned char>(moments);
    bank.masked_count = arena.take<int>(batch);
  }
  run.state = arena.take<float>(batch * model_.state.out);
  for (int m = 0; m < 2; ++m) run.query[m] = arena.take<float>(batch * model_.heads[m].second.out);
  run.zeroed_count = static_cast<long long>((arena.used() + 3) / sizeof(float));
  for (int m = 0; m < 2; ++m) {
    cuda::DeviceBank<T>& bank = run.banks[m];
    if (bank.source == nullptr) continue;
    bank.rows = arena.take<T>(batch * bank.knots * run.moments.stride);
    bank.lower = arena.take<int>(moments);
    bank.fraction = arena.take<float>(moments);
    bank.at_knots = arena.take<float>(batch * bank.knots);
    if (model_.heads[m].key.out == 0) continue;
    bank.products = arena.take<float>(batch * bank.knots * model_.heads[m].key.out);
    bank.keys = arena.take<T>(moments * model_.heads[m].key.out);
  }
}

template <class T>
std::size_t CudaSkimmer::TypedModel<T>::workspace_bytes(const SkimInput& input) const {
  Run run = describe(input);
  cuda::Arena counting(nullptr);
  lay_out(run, counting);
  return counting.used();
}

// The largest layers that fit are kept in shared memory, behind the scratch. Returns the bytes a block needs.
template <class T>
std::size_t CudaSkimmer::TypedModel<T>::keep_what_fits(Run& run, const CudaGeometry& geometry) {
  std::size_t used = static_cast<std::size_t>(geometry.threads) * cuda::kScratchAThread;
  const std::size_t room = used + geometry.shared_bytes;
  cuda::DeviceModel<T>& model = run.model;
  for (cuda::Layer<T>* layer : {&model.gates, &model.fusion_in, &model.state, &model.fusion_out,
                                &model.heads[0].second, &model.heads[1].second}) {
    const std::size_t bytes = static_cast<std::size_t>(cuda::owned_rows(*layer, 0, geometry.blocks)) *
                              static_cast<std::size_t>(layer->in) * sizeof(T);
    if (bytes == 0 || used + bytes > room) continue;
    layer->kept_at = static_cast<long long>(used);
    used += (bytes + 15) / 16 * 16;
  }
  return used;
}

template <class T>
void CudaSkimmer::TypedModel<T>::run(const SkimInput& input, const SkimOutput& output, void* workspace,
                                     const CudaGeometry& geometry, void* stream) const {
  Run run = describe(input);
  cuda::Arena arena(workspace);
  lay_out(run, arena);
  run.logits = output.logits.data;
  run.modality_scores = output.modality_scores.data;
  run.step_features = output.step_features.data;
  run.attention[0] = output.image_attention.data;
  run.attention[1] = output.audio_attention.data;
  const auto queue = static_cast<cuda::Stream>(stream);
  if (geometry.persistent) {
    const std::size_t shared = keep_what_fits(run, geometry);
    cuda::launch(cuda::persistent_kernel<T>, {geometry.blocks, geometry.threads, shared, true}, queue, run);
    return;
  }
  const std::size_t scratch = static_cast<std::size_t>(geometry.threads) * cuda::kScratchAThread;
  const int count = cuda::step_count(run);
  for (int i = 0; i < count; ++i) {
    const cuda::Step step = cuda::step_at(run, i);
    cuda::launch(cuda::phase_kernel<T>, {geometry.blocks, geometry.threads, scratch, false}, queue, run, step.phase,
                 step.t);
  }
}

CudaSkimmer::CudaSkimmer(const TensorMap& tensors, const Settings& settings) {
  const Weights weights = load_weights(tensors, settings);
  switch (settings.precision) {
    case Precision::fp32: model_ = std::make_unique<TypedModel<float>>(weights, settings); break;
    case Precision::bf16: model_ = std::make_unique<TypedModel<cuda::Bf16>>(weights, settings); break;
    case Precision::fp16: model_ = std::make_unique<TypedModel<cuda::Fp16>>(weights, settings); break;
  }
}

CudaSkimmer::~CudaSkimmer() = default;

// One persistent launch saves launches and weight traffic, but waits for the whole grid between phases: for few
// videos. The bound is a guess until a GPU has measured it.
CudaGeometry CudaSkimmer::geometry(std::int64_t batch) const {
  const cuda::Room room = cuda::room();
  constexpr int kThreads = 512;
  constexpr std::size_t kReserve = 2048 + kThreads * cuda::kScratchAThread;  // the runtime's own, and the scratch
  if (room.cooperative && batch <= 4) {
    return {true, room.processors, kThreads, room.shared_bytes > kReserve ? room.shared_bytes - kReserve : 0};
  }
  return {false, 4 * room.processors, 256, 0};
}

std::size_t CudaSkimmer::workspace_bytes(const SkimInput& input) const { return model_->workspace_bytes(input); }

void CudaSkimmer::run(const SkimInput& input, const SkimOutput& output, void* workspace, const CudaGeometry& geometry,
                      void* stream) const {
  model_->run(input, output, workspace, geometry, stream);
}

}  // namespace l2l
