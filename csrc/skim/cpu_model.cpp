#include "skim/cpu_model.h"

#include "base/padding.h"

namespace l2l {
namespace {

PackedLinear pack(const Linear& layer, std::int64_t input_part, const Kernels& kernels, Precision precision) {
  PackedLinear packed(kernels, precision, layer.out, layer.in / input_part * padded(input_part));
  packed.place(layer, 0, input_part);
  return packed;
}

const Linear& first_layer(const Attention& attention) {
  return attention.has_hidden ? attention.hidden : attention.query;
}

}  // namespace

CpuModel::CpuModel(const Weights& w, const Settings& settings, const Kernels& chosen)
    : kernels(chosen),
      precision(settings.precision),
      classes(w.classes),
      feature(w.feature),
      feature_width(padded(w.feature)),
      state_width(padded(w.state)),
      panels_of_units((w.state + kUnits - 1) / kUnits),
      fusion_in(pack(w.fusion_in, w.feature, chosen, precision)),
      fusion_out(pack(w.fusion_out, w.fused, chosen, precision)),
      lstm_input(chosen, precision, panels_of_units * kPanel, w.feature),
      classifier(pack(w.classifier, w.feature, chosen, precision)),
      paired(w.paired) {
  lstm_input.place_gates(w.lstm_input, 0);
  const Attention* attentions[2] = {&w.image, &w.audio};
  const int count = w.visual_only ? 1 : 2;
  std::int64_t rows = 0;
  for (int m = 0; m < count; ++m) {
    heads[m].row = rows;
    heads[m].width = padded(first_layer(*attentions[m]).out);
    rows += heads[m].width;
  }
  modality_row = rows;
  recurrent_row = rows + (w.visual_only ? 0 : kPanel);
  state = PackedLinear(chosen, precision, recurrent_row + panels_of_units * kPanel, w.state);
  for (int m = 0; m < count; ++m) {
    const Attention& attention = *attentions[m];
    state.place(first_layer(attention), heads[m].row, w.state);
    heads[m].has_second = attention.has_hidden;
    if (attention.has_hidden) heads[m].second = pack(attention.query, attention.query.in, chosen, precision);
    if (settings.relu_keys) heads[m].key = pack(attention.key, w.feature, chosen, precision);
  }
  if (!w.visual_only) state.place(w.modality, modality_row, w.state);
  state.place_gates(w.lstm_hidden, recurrent_row);
  if (!w.paired) return;
  const Pairing* pairings[2] = {&w.pair_image, &w.pair_audio};
  for (int m = 0; m < 2; ++m) {
    const Linear &first = pairings[m]->first, &second = pairings[m]->second;
    pairs[m] = {pack(first, w.feature, chosen, precision), pack(second, second.in, chosen, precision)};
  }
}

}  // namespace l2l
