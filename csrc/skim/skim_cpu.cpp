#include "skim/skim_cpu.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/interpolate.h"
#include "ops/soft_index.h"

namespace l2l {
namespace {

using Vector = std::vector<float>;

std::size_t to_size(std::int64_t n) { return static_cast<std::size_t>(n); }

float dot(const float* a, const float* b, std::int64_t n) {
  float sum = 0.0f;
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

void apply(const Linear& layer, const float* x, float* y) {
  for (std::int64_t o = 0; o < layer.out; ++o) {
    y[o] = layer.bias[to_size(o)] + dot(&layer.weight[to_size(o * layer.in)], x, layer.in);
  }
}

void relu(Vector& values) {
  for (float& value : values) value = std::max(value, 0.0f);
}

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

float rounded(Precision precision, float value) {
  if (precision == Precision::bf16) return from_bf16(to_bf16(value));
  if (precision == Precision::fp16) return from_fp16(to_fp16(value));
  return value;
}

// One modality of one video: its rows, its interpolation, and the attention of its query.
class VideoBank {
 public:
  VideoBank(const Bank& bank, const Attention& attention, const Settings& settings, std::int64_t video,
            const double* timestamps, std::int64_t moments)
      : attention_(attention),
        relu_keys_(settings.relu_keys),
        knots_(length_of(bank.lengths, video, bank.rows.shape[1])),
        feature_(bank.rows.shape[2]),
        rows_(bank.rows.row(video), bank.rows.row(video) + knots_ * feature_),
        at_knots_(to_size(knots_)),
        scores_(to_size(moments)) {
    for (float& value : rows_) value = rounded(settings.precision, value);
    locate(bank.times.row(video), knots_, timestamps, moments, segments_);
    if (relu_keys_) make_keys();
  }

  // w = softmax_j(k_j . q / sqrt(K)) (Eq. 6-7), into `weights` [moments].
  void attend_to(const Vector& state, Exclusion* exclusion, float* weights) {
    const float* input = state.data();
    if (attention_.has_hidden) {
      hidden_.resize(to_size(attention_.hidden.out));
      apply(attention_.hidden, input, hidden_.data());
      relu(hidden_);
      input = hidden_.data();
    }
    query_.resize(to_size(attention_.query.out));
    apply(attention_.query, input, query_.data());
    const auto moments = static_cast<std::int64_t>(scores_.size());
    if (relu_keys_) {
      const std::int64_t size = attention_.key.out;
      for (std::int64_t j = 0; j < moments; ++j) weights[j] = dot(&keys_[to_size(j * size)], query_.data(), size);
    } else {
      for (std::int64_t m = 0; m < knots_; ++m) {
        at_knots_[to_size(m)] = dot(&rows_[to_size(m * feature_)], query_.data(), feature_);
      }
      interpolate_scores(at_knots_.data(), segments_, weights);
    }
    attend(weights, moments, exclusion);
  }

  // sum_j u_j z_j = sum_m (B^T u)_m z_m, into out [D].
  void index(const float* weights, float* out) {
    weights_at_knots(weights, segments_, knots_, at_knots_.data());
    std::fill_n(out, feature_, 0.0f);
    for (std::int64_t m = 0; m < knots_; ++m) {
      const float* row = &rows_[to_size(m * feature_)];
      for (std::int64_t d = 0; d < feature_; ++d) out[d] += at_knots_[to_size(m)] * row[d];
    }
  }

 private:
  // A ReLU does not commute with interpolation, so these keys are made for all N moments, once. The
  // matrix product does commute: it is done at the knots, and only its result is interpolated.
  void make_keys() {
    const Linear& key = attention_.key;
    Vector at_knots(to_size(knots_ * key.out));
    for (std::int64_t m = 0; m < knots_; ++m) {
      apply(key, &rows_[to_size(m * feature_)], &at_knots[to_size(m * key.out)]);
    }
    keys_.resize(scores_.size() * to_size(key.out));
    for (std::size_t j = 0; j < scores_.size(); ++j) {
      const float* low = &at_knots[to_size(segments_.lower[j] * key.out)];
      const float fraction = segments_.fraction[j];
      for (std::int64_t k = 0; k < key.out; ++k) {
        const float value = fraction == 0.0f ? low[k] : low[k] + fraction * (low[k + key.out] - low[k]);
        keys_[j * to_size(key.out) + to_size(k)] = std::max(value, 0.0f);
      }
    }
  }

  const Attention& attention_;
  bool relu_keys_;
  std::int64_t knots_, feature_;
  Vector rows_, keys_, at_knots_, scores_, hidden_, query_;
  Segments segments_;
};

struct LstmState {
  explicit LstmState(std::int64_t size)
      : h(to_size(size)), c(to_size(size)), gates(to_size(4 * size)), recurrent(to_size(4 * size)) {}
  Vector h, c, gates, recurrent;
};

void lstm_step(const Weights& w, const float* x, LstmState& s) {
  apply(w.lstm_input, x, s.gates.data());
  apply(w.lstm_hidden, s.h.data(), s.recurrent.data());
  for (std::size_t i = 0; i < s.gates.size(); ++i) s.gates[i] += s.recurrent[i];
  const std::size_t size = s.h.size();
  for (std::size_t i = 0; i < size; ++i) {
    const float input = sigmoid(s.gates[i]);
    const float forget = sigmoid(s.gates[size + i]);
    const float candidate = std::tanh(s.gates[2 * size + i]);
    const float output = sigmoid(s.gates[3 * size + i]);
    s.c[i] = forget * s.c[i] + input * candidate;
    s.h[i] = output * std::tanh(s.c[i]);
  }
}

// (s^I, s^A) of Eq. 8; a missing modality forces them.
void modality_scores(const Weights& w, bool has_image, bool has_audio, const Vector& state, float* scores) {
  scores[0] = has_image ? 1.0f : 0.0f;
  scores[1] = has_audio ? 1.0f : 0.0f;
  if (!has_image || !has_audio) return;
  apply(w.modality, state.data(), scores);
  scores[0] = sigmoid(scores[0] - scores[1]);  // the softmax over two
  scores[1] = 1.0f - scores[0];
}

}  // namespace

void skim_video(const Weights& w, const Settings& settings, const SkimInput& in, const SkimOutput& out,
                std::int64_t video) {
  const std::int64_t width = in.timestamps.shape[1];
  const std::int64_t moments = length_of(in.lengths, video, width);
  struct Part {
    std::vector<VideoBank> bank;  // none or one
    Exclusion exclusion;
    View<float, 3> attention;
  };
  Part parts[2] = {{{}, {}, out.image_attention}, {{}, {}, out.audio_attention}};
  if (in.image.present()) parts[0].bank.emplace_back(in.image, w.image, settings, video, in.timestamps.row(video), moments);
  if (in.audio.present()) parts[1].bank.emplace_back(in.audio, w.audio, settings, video, in.timestamps.row(video), moments);

  Vector mixed(to_size(w.fusion_in.in)), hidden(to_size(w.fused)), mean(to_size(w.feature));
  Vector mixture(to_size(moments), 1.0f / static_cast<float>(moments));
  LstmState state(w.state);
  for (std::int64_t t = 0; t < in.steps; ++t) {
    for (std::size_t p = 0; p < 2; ++p) {
      if (!parts[p].bank.empty()) parts[p].bank[0].index(mixture.data(), &mixed[p * to_size(w.feature)]);
    }
    apply(w.fusion_in, mixed.data(), hidden.data());
    relu(hidden);
    float* fused = out.step_features.row(video, t);
    apply(w.fusion_out, hidden.data(), fused);
    for (std::size_t d = 0; d < mean.size(); ++d) mean[d] += fused[d] / static_cast<float>(in.steps);
    lstm_step(w, fused, state);

    float* scores = out.modality_scores.row(video, t);
    modality_scores(w, !parts[0].bank.empty(), !parts[1].bank.empty(), state.h, scores);
    std::fill(mixture.begin(), mixture.end(), 0.0f);
    for (std::size_t p = 0; p < 2; ++p) {
      float* attention = parts[p].attention.row(video, t);
      std::fill_n(attention, width, 0.0f);
      if (parts[p].bank.empty()) continue;
      parts[p].bank[0].attend_to(state.h, settings.exclude_previous_argmax ? &parts[p].exclusion : nullptr, attention);
      for (std::int64_t j = 0; j < moments; ++j) mixture[to_size(j)] += scores[p] * attention[j];
    }
  }
  apply(w.classifier, mean.data(), out.logits.row(video));
}

}  // namespace l2l
