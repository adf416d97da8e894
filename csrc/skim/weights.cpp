#include "skim/weights.h"

#include <cmath>
#include <set>

#include "base/check.h"
#include "base/view.h"

namespace l2l {
namespace {

// Hands out tensors by name and shape, and remembers which were asked for.
class Reader {
 public:
  explicit Reader(const TensorMap& tensors) : tensors_(tensors) {}

  bool has(const std::string& name) const { return tensors_.count(name) != 0; }

  std::vector<std::int64_t> matrix_shape(const std::string& name) const {
    const NamedTensor& tensor = find(name);
    require(tensor.shape.size() == 2 && tensor.shape[0] > 0 && tensor.shape[1] > 0, name,
            ": expected a non-empty matrix, got shape ", text(tensor));
    return tensor.shape;
  }

  std::vector<float> take(const std::string& name, const std::vector<std::int64_t>& shape) {
    const NamedTensor& tensor = find(name);
    require(tensor.shape == shape, name, ": expected shape ", shape_text(shape.data(), shape.size()), ", got ",
            text(tensor));
    used_.insert(name);
    std::size_t size = 1;
    for (std::int64_t extent : shape) size *= static_cast<std::size_t>(extent);
    std::vector<float> values(tensor.data, tensor.data + size);
    for (float value : values) require(std::isfinite(value), name, ": contains a value that is not finite");
    return values;
  }

  Linear linear(const std::string& stem, std::int64_t out, std::int64_t in) {
    return {out, in, take(stem + ".weight", {out, in}), take(stem + ".bias", {out})};
  }

  void refuse_unused(const std::string& why) const {
    for (const auto& [name, tensor] : tensors_) {
      require(used_.count(name) != 0, name, ": unexpected tensor", why);
    }
  }

 private:
  const NamedTensor& find(const std::string& name) const {
    const auto found = tensors_.find(name);
    require(found != tensors_.end(), name, ": missing tensor");
    return found->second;
  }
  static std::string text(const NamedTensor& tensor) {
    return shape_text(tensor.shape.data(), tensor.shape.size());
  }

  const TensorMap& tensors_;
  std::set<std::string> used_;
};

// Fold 1, of Eq. 6: k_j . q / sqrt(K) is z_j . W_k^T (W_q x + b_q) / sqrt(K), since the key's own bias adds the same to
// every j, so that the softmax drops it. In float64, because the product is rounded once more when it is stored.
Linear fold_key_into_query(const Linear& key, const Linear& query, double scale) {
  const auto features = static_cast<std::size_t>(key.in);
  const auto keys = static_cast<std::size_t>(key.out);
  const auto inputs = static_cast<std::size_t>(query.in);
  Linear folded{key.in, query.in, std::vector<float>(features * inputs), std::vector<float>(features)};
  std::vector<double> row(inputs);
  for (std::size_t d = 0; d < features; ++d) {
    row.assign(inputs, 0.0);
    double bias = 0.0;
    for (std::size_t k = 0; k < keys; ++k) {
      const double factor = key.weight[k * features + d];
      const float* from = &query.weight[k * inputs];
      for (std::size_t i = 0; i < inputs; ++i) row[i] += factor * from[i];
      bias += factor * query.bias[k];
    }
    for (std::size_t i = 0; i < inputs; ++i) folded.weight[d * inputs + i] = static_cast<float>(row[i] * scale);
    folded.bias[d] = static_cast<float>(bias * scale);
  }
  return folded;
}

void scale_by(Linear& layer, double scale) {
  for (float& value : layer.weight) value = static_cast<float>(value * scale);
  for (float& value : layer.bias) value = static_cast<float>(value * scale);
}

void check_fits(Precision precision, const char* name, const Linear& layer) {
  for (float value : layer.weight) {
    if (precision == Precision::bf16) value = from_bf16(to_bf16(value));
    if (precision == Precision::fp16) value = from_fp16(to_fp16(value));
    require(std::isfinite(value), name, ": a value is too large for the precision");
  }
}

Attention load_attention(Reader& reader, const std::string& modality, const Weights& sizes, bool relu_keys) {
  const std::string query_name = "query_" + modality;
  Attention attention;
  attention.has_hidden = reader.has(query_name + ".1.weight");
  std::int64_t inputs = sizes.state;
  if (attention.has_hidden) {
    const std::int64_t hidden = reader.matrix_shape(query_name + ".0.weight")[0];
    attention.hidden = reader.linear(query_name + ".0", hidden, sizes.state);
    inputs = hidden;
  }
  attention.query = reader.linear(query_name + (attention.has_hidden ? ".1" : ".0"), sizes.key, inputs);
  const Linear key = reader.linear("key_" + modality, sizes.key, sizes.feature);
  const double scale = 1.0 / std::sqrt(static_cast<double>(sizes.key));
  if (relu_keys) {
    scale_by(attention.query, scale);
    attention.key = key;
  } else {
    attention.query = fold_key_into_query(key, attention.query, scale);
  }
  return attention;
}

Pairing load_pairing(Reader& reader, const std::string& modality, const Weights& sizes) {
  const std::string name = "pair_" + modality;
  const std::int64_t hidden = reader.matrix_shape(name + ".0.weight")[0];
  return {reader.linear(name + ".0", hidden, 2 * sizes.feature), reader.linear(name + ".1", sizes.feature, hidden)};
}

void check_all_fit(Precision precision, const Weights& w) {
  check_fits(precision, "fusion.0.weight", w.fusion_in);
  check_fits(precision, "fusion.1.weight", w.fusion_out);
  check_fits(precision, "lstm.weight_ih", w.lstm_input);
  check_fits(precision, "lstm.weight_hh", w.lstm_hidden);
  check_fits(precision, "query_image.0.weight", w.image.hidden);
  check_fits(precision, "query_image with key_image", w.image.query);
  check_fits(precision, "key_image.weight", w.image.key);
  check_fits(precision, "query_audio.0.weight", w.audio.hidden);
  check_fits(precision, "query_audio with key_audio", w.audio.query);
  check_fits(precision, "key_audio.weight", w.audio.key);
  check_fits(precision, "modality.weight", w.modality);
  check_fits(precision, "classifier.weight", w.classifier);
  check_fits(precision, "pair_image.0.weight", w.pair_image.first);
  check_fits(precision, "pair_image.1.weight", w.pair_image.second);
  check_fits(precision, "pair_audio.0.weight", w.pair_audio.first);
  check_fits(precision, "pair_audio.1.weight", w.pair_audio.second);
}

}  // namespace

Weights load_weights(const TensorMap& tensors, const Settings& settings) {
  Reader reader(tensors);
  Weights w;
  const auto classifier = reader.matrix_shape("classifier.weight");
  const auto fusion = reader.matrix_shape("fusion.0.weight");
  w.classes = classifier[0];
  w.feature = classifier[1];
  w.fused = fusion[0];
  w.state = reader.matrix_shape("lstm.weight_hh")[1];
  w.key = reader.matrix_shape("key_image.weight")[0];
  w.visual_only = fusion[1] == w.feature;
  w.fusion_in = reader.linear("fusion.0", w.fused, (w.visual_only ? 1 : 2) * w.feature);
  w.fusion_out = reader.linear("fusion.1", w.feature, w.fused);
  const std::int64_t gates = 4 * w.state;
  w.lstm_input = {gates, w.feature, reader.take("lstm.weight_ih", {gates, w.feature}),
                  reader.take("lstm.bias", {gates})};
  w.lstm_hidden = {gates, w.state, reader.take("lstm.weight_hh", {gates, w.state}),
                   std::vector<float>(static_cast<std::size_t>(gates))};
  w.classifier = reader.linear("classifier", w.classes, w.feature);
  w.image = load_attention(reader, "image", w, settings.relu_keys);
  if (!w.visual_only) {
    w.audio = load_attention(reader, "audio", w, settings.relu_keys);
    w.modality = reader.linear("modality", 2, w.state);
    w.paired = reader.has("pair_image.0.weight");
  }
  if (w.paired) {
    w.pair_image = load_pairing(reader, "image", w);
    w.pair_audio = load_pairing(reader, "audio", w);
  }
  reader.refuse_unused(w.visual_only ? " beside a visual-only fusion.0.weight" : "");
  check_all_fit(settings.precision, w);
  return w;
}

}  // namespace l2l
