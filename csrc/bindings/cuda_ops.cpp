#include "base/device.h"
#include "bindings/cuda_module.h"
#include "ops/gather_cuda.h"
#include "ops/interpolate_cuda.h"
#include "ops/soft_index_cuda.h"

namespace l2l::bindings {
namespace {

void interpolate_arrays(const DeviceArray& features, const DeviceArray& knot_times, const DeviceArray& timestamps,
                        const DeviceArray& out, const std::shared_ptr<Stream>& stream) {
  const int device = features.device();
  expect_features("features", features, {-1, -1, -1}, device);
  const Shape& shape = features.shape();
  expect("knot_times", knot_times, Element::f64, {shape[0], shape[1]}, device);
  expect("timestamps", timestamps, Element::f64, {shape[0], -1}, device);
  expect("out", out, Element::f32, {shape[0], timestamps.shape()[1], shape[2]}, device);
  expect_writable("out", out);
  require(shape[1] <= kMostCudaRows, "features: more than ", kMostCudaRows, " knots");
  const CudaInterpolateInput input{features.data(),
                                   features.element(),
                                   static_cast<const double*>(knot_times.data()),
                                   static_cast<const double*>(timestamps.data()),
                                   shape[0],
                                   shape[1],
                                   timestamps.shape()[1],
                                   shape[2]};
  const py::gil_scoped_release release;
  const cuda::OnDevice on(device);
  interpolate_cuda(input, static_cast<float*>(out.data()), {}, stream->handle);
}

void gather_arrays(const DeviceArray& features, const DeviceArray& order, const DeviceArray& out,
                   const std::shared_ptr<Stream>& stream) {
  const int device = features.device();
  expect_features("features", features, {-1, -1, -1}, device);
  const Shape& shape = features.shape();
  expect("order", order, Element::i64, {shape[0], -1}, device);
  expect("out", out, Element::f32, {shape[0], order.shape()[1], shape[2]}, device);
  const CudaGatherInput input{features.data(), features.element(),   static_cast<const std::int64_t*>(order.data()),
                              shape[0],        shape[1],             order.shape()[1],
                              shape[2]};
  const py::gil_scoped_release release;
  const cuda::OnDevice on(device);
  gather_cuda(input, static_cast<float*>(out.data()), {}, stream->handle);
}

using Pair = std::array<DeviceArray, 2>;
using OptionalPair = std::array<Optional, 2>;

py::tuple soft_index_arrays(const Pair& banks, const Pair& times, const DeviceArray& timestamps, const Pair& queries,
                            const DeviceArray& modality_scores, const OptionalPair& bank_lengths,
                            const Optional& lengths, const OptionalPair& excluded, const std::string& precision,
                            const std::shared_ptr<Stream>& stream) {
  const int device = banks[0].device();
  const Precision stored = cuda_precision(precision);
  CudaSoftIndexInput input;
  input.timestamps = view<double, 2>("timestamps", timestamps, device);
  input.lengths = view<std::int64_t, 1>("lengths", lengths, device);
  for (std::size_t m = 0; m < 2; ++m) {
    const std::string name = m == 0 ? "image" : "audio";
    input.banks[m] = bank_view(name, banks[m], times[m], bank_lengths[m], device);
    input.queries[m] = view<float, 2>(name + "_query", queries[m], device);
    input.excluded[m] = view<unsigned char, 2>(name + "_excluded", excluded[m], device);
  }
  input.modality_scores = view<float, 2>("modality_scores", modality_scores, device);
  check_soft_index(input);
  const cuda::OnDevice on(device);
  if (cuda::is_capturing(stream->handle)) {
    throw cuda::DeviceError("stream: soft_index cannot be captured; it allocates");
  }
  const auto bytes = static_cast<std::int64_t>(soft_index_workspace_bytes(stored, input));
  const DeviceArray workspace = empty(Element::boolean, {bytes}, stream);
  const auto [batch, moments] = input.timestamps.shape;
  const Shape features{batch, input.banks[0].rows.shape[2]}, attention{batch, moments};
  std::vector<DeviceArray> out;
  for (const Shape& shape : {features, features, attention, attention}) {
    out.push_back(empty(Element::f32, shape, stream));
  }
  const SoftIndexOutput output{{borrowed<float, 2>(out[0]), borrowed<float, 2>(out[1])},
                               {borrowed<float, 2>(out[2]), borrowed<float, 2>(out[3])}};
  {
    const py::gil_scoped_release release;
    soft_index_cuda(stored, input, output, workspace.data(), {}, stream->handle);
  }
  return py::make_tuple(out[0], out[1], out[2], out[3]);
}

}  // namespace

void bind_cuda_ops(py::module_& module) {
  using py::arg;
  module.def("interpolate", &interpolate_arrays, arg("features"), arg("knot_times"), arg("timestamps"), arg("out"),
             arg("stream"));
  module.def("gather", &gather_arrays, arg("features"), arg("order"), arg("out"), arg("stream"));
  module.def("soft_index", &soft_index_arrays, arg("banks"), arg("times"), arg("timestamps"), arg("queries"),
             arg("modality_scores"), arg("bank_lengths"), arg("lengths"), arg("excluded"), arg("precision"),
             arg("stream"));
}

}  // namespace l2l::bindings
