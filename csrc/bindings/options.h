// Optional and named arguments that several functions take.
#pragma once

#include <pybind11/stl.h>

#include <array>
#include <optional>
#include <string>

#include "base/cpu_features.h"
#include "base/half.h"
#include "bindings/arrays.h"
#include "ops/soft_index.h"

namespace l2l::bindings {

inline Precision precision_from(const std::string& name) {
  if (name == "auto") return best_isa() == Isa::avx512_bf16 ? Precision::bf16 : Precision::fp32;
  if (name == "fp32") return Precision::fp32;
  if (name == "bf16") return Precision::bf16;
  require(name == "fp16", "precision: expected fp32, bf16, fp16 or auto, got ", name);
  return Precision::fp16;
}

template <class T>
using Optional = std::optional<Array<T>>;
template <class T>
using Pair = std::array<Optional<T>, 2>;  // image, audio

template <std::size_t Rank, class T>
View<const T, Rank> view(const std::string& name, const Optional<T>& array) {
  return array ? view<Rank>(name, *array) : View<const T, Rank>{};
}

// A modality that has no rows is absent, whatever else is given.
inline Bank bank_view(const std::string& modality, const Optional<float>& rows, const Optional<double>& times,
                      const Optional<std::int64_t>& lengths) {
  if (!rows) return {};
  return {view<3>(modality + "_bank", rows), view<2>(modality + "_times", times),
          view<1>(modality + "_lengths", lengths)};
}

}  // namespace l2l::bindings
