// What a block of the skimmer has in shared memory: scratch, v of one video, and as many of its weights as fit.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "skim/cuda_run.h"

namespace l2l::cuda {

inline std::size_t on_16(std::size_t bytes) { return (bytes + 15) / 16 * 16; }

// Scratch for index() and cell(), and v. Returns the bytes; more blocks never take more.
template <class T>
std::size_t share_out(DeviceRun<T>& run, int blocks, int threads) {
  const auto gates = static_cast<std::size_t>(4 * kTogether * owned_rows(run.model.gates.out, 0, blocks));
  const std::size_t scratch = std::max(static_cast<std::size_t>(threads), gates) * sizeof(float);
  run.spread_at = static_cast<int>(on_16(scratch));
  const auto knots = static_cast<std::size_t>(spread_width(run.banks[0].knots) + spread_width(run.banks[1].knots));
  return on_16(scratch) + (run.projected ? knots * (sizeof(long long) + sizeof(float)) : 0);
}

// The layers that a step reads, the largest first.
template <class T>
std::vector<Layer<T>*> layers_to_keep(DeviceRun<T>& run) {
  DeviceModel<T>& model = run.model;
  std::vector<Layer<T>*> layers{&model.gates};
  if (!run.projected) layers.insert(layers.end(), {&model.fusion_in, &model.heads[0].second, &model.heads[1].second});
  if (!run.projected || model.heads[0].hidden || model.heads[1].hidden) layers.push_back(&model.ask);
  return layers;
}

// Their rows are kept behind the first `used` bytes as far as `most` bytes go, row by row: what is left of a layer is
// read from global memory. Returns the bytes in use.
template <class T>
std::size_t keep_what_fits(DeviceRun<T>& run, int blocks, std::size_t used, std::size_t most) {
  for (Layer<T>* layer : layers_to_keep(run)) {
    const std::size_t row = static_cast<std::size_t>(layer->in) * sizeof(T);
    if (row == 0 || on_16(used) + row > most) continue;
    used = on_16(used);
    layer->kept = std::min(owned_rows(layer->out, 0, blocks), static_cast<int>((most - used) / row));
    layer->kept_at = static_cast<long long>(used);
    used += static_cast<std::size_t>(layer->kept) * row;
  }
  return used;
}

}  // namespace l2l::cuda
