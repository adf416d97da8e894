// The skimmer's weights on the GPU.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/cuda_memory.h"
#include "base/padding.h"
#include "skim/cuda_fold.h"
#include "skim/cuda_run.h"
#include "skim/weights.h"

namespace l2l::cuda {

// Puts layers on the device, rows and inputs padded with zeros, and owns them there.
template <class T>
class Placing {
 public:
  struct Part {
    const Linear* layer;
    std::int64_t row;
  };

  // `rows` rows out of layers stacked at their rows; their inputs are in parts of `input_part`, each padded.
  Layer<T> stack(const std::vector<Part>& parts, std::int64_t rows, std::int64_t input_part) {
    const std::int64_t in = parts.front().layer->in / input_part * padded(input_part);
    std::vector<T> weight(static_cast<std::size_t>(rows * in), to_half<T>(0.0f));
    std::vector<float> bias(static_cast<std::size_t>(rows), 0.0f);
    for (const Part& part : parts) {
      for (std::int64_t o = 0; o < part.layer->out; ++o) {
        bias[static_cast<std::size_t>(part.row + o)] = part.layer->bias[static_cast<std::size_t>(o)];
        for (std::int64_t i = 0; i < part.layer->in; ++i) {
          const std::int64_t column = i / input_part * padded(input_part) + i % input_part;
          weight[static_cast<std::size_t>((part.row + o) * in + column)] =
              rounded(part.layer->weight[static_cast<std::size_t>(o * part.layer->in + i)]);
        }
      }
    }
    return send(weight, bias, rows, in);
  }
  Layer<T> single(const Linear& layer, std::int64_t rows, std::int64_t input_part) {
    return stack({{&layer, 0}}, rows, input_part);
  }

  // A row is a unit: its gates i, f, g, o on [input | h], one after the other.
  Layer<T> gates(const Linear& input, const Linear& hidden) {
    const std::int64_t units = hidden.in, from = padded(input.in), width = from + padded(units);
    std::vector<T> weight(static_cast<std::size_t>(4 * units * width), to_half<T>(0.0f));
    std::vector<float> bias(static_cast<std::size_t>(4 * units), 0.0f);
    for (std::int64_t o = 0; o < input.out; ++o) {
      const std::int64_t to = 4 * (o % hidden.in) + o / hidden.in;
      bias[static_cast<std::size_t>(to)] = input.bias[static_cast<std::size_t>(o)];
      T* row = &weight[static_cast<std::size_t>(to * width)];
      const auto put = [&](const Linear& layer, T* at) {
        const float* values = &layer.weight[static_cast<std::size_t>(o * layer.in)];
        std::transform(values, values + layer.in, at, [this](float x) { return rounded(x); });
      };
      put(input, row);
      put(hidden, row + from);
    }
    return send(weight, bias, units, 4 * width);
  }

 private:
  T rounded(float value) const {
    const T stored = to_half<T>(value);
    require(std::isfinite(from_half(stored)), "weights: a folded value is too large for the precision");
    return stored;
  }

  Layer<T> send(const std::vector<T>& weight, const std::vector<float>& bias, std::int64_t out, std::int64_t in) {
    const auto put = [this](const void* from, std::size_t bytes) {
      memory_.push_back(std::make_unique<Owned>(bytes));
      upload_at_once(memory_.back()->get(), from, bytes);
      return memory_.back()->get();
    };
    Layer<T> layer;
    layer.weight = static_cast<const T*>(put(weight.data(), weight.size() * sizeof(T)));
    layer.bias = static_cast<const float*>(put(bias.data(), bias.size() * sizeof(float)));
    layer.out = static_cast<int>(out);
    layer.in = layer.stride = static_cast<int>(in);
    return layer;
  }

  std::vector<std::unique_ptr<Owned>> memory_;
};

// Brings the weights to the device; here fusion's second layer is folded away (fold 4, by folded()), and the layers of
// fold 5 are turned round (turned()).
template <class T>
DeviceModel<T> place_model(Placing<T>& placing, const Weights& w, const Settings& settings) {
  DeviceModel<T> model;
  model.feature = static_cast<int>(w.feature);
  model.feature_width = static_cast<int>(padded(w.feature));
  model.fused_width = static_cast<int>(padded(w.fused));
  model.state_width = static_cast<int>(padded(w.state));
  model.classes = static_cast<int>(w.classes);
  model.fusion_in = placing.single(w.fusion_in, w.fused, w.feature);
  model.fusion_out = placing.single(w.fusion_out, w.feature, w.fused);
  model.classifier = placing.single(folded(w.classifier, w.fusion_out), w.classes, w.fused);
  model.gates = placing.gates(folded(w.lstm_input, w.fusion_out), w.lstm_hidden);
  if (!w.visual_only) model.modality = placing.single(w.modality, 2, w.state);
  std::vector<typename Placing<T>::Part> asked;
  std::int64_t rows = 0;
  for (int m = 0; m < (w.visual_only ? 1 : 2); ++m) {
    const Attention& attention = m == 0 ? w.image : w.audio;
    const Linear& first = attention.has_hidden ? attention.hidden : attention.query;
    DeviceHead<T>& head = model.heads[m];
    head.row = static_cast<int>(rows);
    head.rows = static_cast<int>(padded(first.out));
    head.hidden = attention.has_hidden;
    asked.push_back({&first, rows});
    rows += head.rows;
    const Linear& query = attention.query;
    if (head.hidden) head.second = placing.single(query, query.out, query.in);
    if (settings.relu_keys) head.key = placing.single(attention.key, attention.key.out, w.feature);
    head.scoring_used = static_cast<int>(query.in);
    head.scoring = placing.single(turned(query, padded(query.in)), padded(query.in) + 1, query.out);
    head.scoring.bias = nullptr;
    head.mixing = model.fusion_in;
    head.mixing.in = model.feature_width;
    head.mixing.weight += m * model.feature_width;
    head.mixing.bias = nullptr;
  }
  model.ask = placing.stack(asked, asked.back().row + asked.back().layer->out, w.state);
  model.asked_width = static_cast<int>(rows);
  return model;
}

}  // namespace l2l::cuda
