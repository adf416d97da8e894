// Random skimmer weights and videos, on heap blocks of exactly their size, so that a sanitizer sees every
// read past an end.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "skim/skimmer.h"

namespace l2l::test {

struct Dims {
  std::int64_t feature = 20, fused = 40, state = 36, key = 12, classes = 5;
};

class RandomWeights {
 public:
  RandomWeights(const Dims& d, int query_layers, unsigned seed, bool paired = false) : random_(seed) {
    layer("fusion.0", d.fused, 2 * d.feature);
    layer("fusion.1", d.feature, d.fused);
    layer("classifier", d.classes, d.feature);
    layer("modality", 2, d.state);
    for (const char* m : {"image", "audio"}) {
      const std::string query = std::string("query_") + m;
      layer(std::string("key_") + m, d.key, d.feature);
      if (query_layers == 2) layer(query + ".0", d.state + 3, d.state);
      layer(query + (query_layers == 2 ? ".1" : ".0"), d.key, query_layers == 2 ? d.state + 3 : d.state);
    }
    tensor("lstm.weight_ih", {4 * d.state, d.feature});
    tensor("lstm.weight_hh", {4 * d.state, d.state});
    tensor("lstm.bias", {4 * d.state});
    if (!paired) return;
    for (const std::string m : {"pair_image", "pair_audio"}) {
      layer(m + ".0", d.fused + 1, 2 * d.feature);
      layer(m + ".1", d.feature, d.fused + 1);
    }
  }
  const TensorMap& tensors() const { return tensors_; }

 private:
  void layer(const std::string& name, std::int64_t out, std::int64_t in) {
    tensor(name + ".weight", {out, in});
    tensor(name + ".bias", {out});
  }
  void tensor(const std::string& name, std::vector<std::int64_t> shape) {
    std::int64_t size = 1;
    for (std::int64_t extent : shape) size *= extent;
    const double spread = shape.size() == 2 ? 1.5 / std::sqrt(static_cast<double>(shape[1])) : 0.3;
    std::normal_distribution<float> normal(0.0f, static_cast<float>(spread));
    std::vector<float>& values = storage_[name];
    for (std::int64_t i = 0; i < size; ++i) values.push_back(normal(random_));
    tensors_[name] = {values.data(), std::move(shape)};
  }
  std::mt19937 random_;
  std::map<std::string, std::vector<float>> storage_;
  TensorMap tensors_;
};

// Videos of different lengths; what lies past a length is NaN.
struct Videos {
  std::int64_t batch, width, knots[2], feature;
  std::vector<float> rows[2];
  std::vector<double> times[2], timestamps;
  std::vector<std::int64_t> bank_lengths[2], lengths;

  Videos(std::int64_t batch_, std::int64_t width_, std::int64_t image, std::int64_t audio, std::int64_t feature_)
      : batch(batch_), width(width_), knots{image, audio}, feature(feature_) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    std::uniform_real_distribution<double> gap(0.05, 1.0);
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    for (std::int64_t b = 0; b < batch; ++b) {
      lengths.push_back(std::max<std::int64_t>(1, width - 3 * b));
      for (std::int64_t j = 0; j < width; ++j) {
        timestamps.push_back(j < lengths.back() ? 0.5 * static_cast<double>(j) : kNan);
      }
      for (int m = 0; m < 2; ++m) {
        bank_lengths[m].push_back(std::max<std::int64_t>(1, knots[m] - b));
        double time = gap(random) - 0.5;
        for (std::int64_t k = 0; k < knots[m]; ++k) {
          const bool valid = k < bank_lengths[m].back();
          times[m].push_back(valid ? time += gap(random) : kNan);
          for (std::int64_t d = 0; d < feature; ++d) {
            rows[m].push_back(valid ? normal(random) : static_cast<float>(kNan));
          }
        }
      }
    }
  }

  Bank bank(int m) const {
    return {{rows[m].data(), {batch, knots[m], feature}}, {times[m].data(), {batch, knots[m]}},
            {bank_lengths[m].data(), {batch}}};
  }
  SkimInput input(std::int64_t steps, bool image = true, bool audio = true) const {
    SkimInput in;
    if (image) in.banks[0] = bank(0);
    if (audio) in.banks[1] = bank(1);
    in.timestamps = {timestamps.data(), {batch, width}};
    in.lengths = {lengths.data(), {batch}};
    in.steps = steps;
    return in;
  }
};

// The outputs, in one block each.
struct Outputs {
  std::vector<float> values[kOutputs];
  SkimOutput views;

  Outputs(const Videos& v, std::int64_t steps, const Dims& d) {
    const auto shapes = output_shapes(v.batch, v.width, steps, d.classes, d.feature);
    std::array<float*, kOutputs> data;
    for (std::size_t i = 0; i < kOutputs; ++i) {
      std::int64_t size = 1;
      for (const std::int64_t extent : shapes[i].extents) size *= extent;
      values[i].assign(static_cast<std::size_t>(size), std::numeric_limits<float>::quiet_NaN());
      data[i] = values[i].data();
    }
    views = output_views(shapes, data);
  }
  // Whether the last row of the step logits is the logits, to the bit.
  bool ends_in_logits() const {
    const auto [batch, steps, classes] = views.step_logits.shape;
    for (std::int64_t b = 0; b < batch; ++b) {
      const float* last = views.step_logits.row(b, steps - 1);
      if (!std::equal(last, last + classes, views.logits.row(b))) return false;
    }
    return true;
  }
  bool operator==(const Outputs& other) const {
    for (std::size_t i = 0; i < kOutputs; ++i) {
      if (values[i] != other.values[i]) return false;
    }
    return true;
  }
  // The largest difference; NaN counts as infinite.
  float distance(const Outputs& other) const {
    float largest = 0.0f;
    for (std::size_t i = 0; i < kOutputs; ++i) {
      for (std::size_t k = 0; k < values[i].size(); ++k) {
        const float difference = std::fabs(values[i][k] - other.values[i][k]);
        if (!(difference <= largest)) largest = difference;
        if (std::isnan(difference)) return std::numeric_limits<float>::infinity();
      }
    }
    return largest;
  }
};

}  // namespace l2l::test
