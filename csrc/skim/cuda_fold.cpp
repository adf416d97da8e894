#include "skim/cuda_fold.h"

namespace l2l {

// Fold 4, in float64, because the product is rounded once more when it is stored.
Linear folded(const Linear& outer, const Linear& inner) {
  const auto rows = static_cast<std::size_t>(outer.out);
  const auto middle = static_cast<std::size_t>(outer.in);
  const auto columns = static_cast<std::size_t>(inner.in);
  Linear result{outer.out, inner.in, std::vector<float>(rows * columns), std::vector<float>(rows)};
  std::vector<double> row(columns);
  for (std::size_t o = 0; o < rows; ++o) {
    row.assign(columns, 0.0);
    double bias = outer.bias[o];
    for (std::size_t k = 0; k < middle; ++k) {
      const double factor = outer.weight[o * middle + k];
      const float* from = &inner.weight[k * columns];
      for (std::size_t i = 0; i < columns; ++i) row[i] += factor * from[i];
      bias += factor * inner.bias[k];
    }
    for (std::size_t i = 0; i < columns; ++i) result.weight[o * columns + i] = static_cast<float>(row[i]);
    result.bias[o] = static_cast<float>(bias);
  }
  return result;
}

// Fold 5.
Linear turned(const Linear& layer, std::int64_t inputs) {
  const auto out = static_cast<std::size_t>(layer.out);
  const auto in = static_cast<std::size_t>(layer.in);
  const auto last = static_cast<std::size_t>(inputs);
  Linear result{inputs + 1, layer.out, std::vector<float>((last + 1) * out), std::vector<float>(last + 1)};
  for (std::size_t o = 0; o < out; ++o) {
    for (std::size_t i = 0; i < in; ++i) result.weight[i * out + o] = layer.weight[o * in + i];
    result.weight[last * out + o] = layer.bias[o];
  }
  return result;
}

}  // namespace l2l
