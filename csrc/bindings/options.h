// Optional and named arguments that several functions take.
#pragma once

#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "base/cpu_features.h"
#include "base/half.h"
#include "bindings/arrays.h"

namespace l2l::bindings {

inline Precision precision_from(const std::string& name) {
  if (name == "auto") return best_isa() == Isa::avx512_bf16 ? Precision::bf16 : Precision::fp32;
  if (name == "fp32") return Precision::fp32;
  if (name == "bf16") return Precision::bf16;
  require(name == "fp16", "precision: expected fp32, bf16, fp16 or auto, got ", name);
  return Precision::fp16;
}

using Lengths = std::optional<Array<std::int64_t>>;

inline View<const std::int64_t, 1> lengths_view(const char* name, const Lengths& lengths) {
  return lengths ? view<1>(name, *lengths) : View<const std::int64_t, 1>{};
}

}  // namespace l2l::bindings
