#include "base/device.h"
#include "bindings/cuda_module.h"
#include "ops/interpolate_cuda.h"
#include "ops/soft_index_cuda.h"

namespace l2l::bindings {
namespace {

// Indices are kept in 32 bits, and the argmax in a float.
constexpr std::int64_t kMostRows = 1 << 24;

void interpolate_arrays(const DeviceArray& features, const DeviceArray& knot_times, const DeviceArray& timestamps,
                        const DeviceArray& out, const std::shared_ptr<Stream>& stream) {
  const int device = features.device();
  expect_features("features", features, {-1, -1, -1}, device);
  const Shape& shape = features.shape();
  expect("knot_times", knot_times, Element::f64, {shape[0], shape[1]}, device);
  expect("timestamps", timestamps, Element::f64, {shape[0], -1}, device);
  expect("out", out, Element::f32, {shape[0], timestamps.shape()[1], shape[2]}, device);
  require(shape[1] <= kMostRows, "features: more than ", kMostRows, " knots");
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

struct SoftIndexArguments {
  std::vector<DeviceArray> banks, times, queries;
  std::vector<Optional> bank_lengths, excluded;
};

CudaSoftIndexInput checked(const SoftIndexArguments& given, const DeviceArray& timestamps,
                           const DeviceArray& modality_scores, const Optional& lengths, int device) {
  const std::string names[] = {"image", "audio"};
  CudaSoftIndexInput input;
  expect("timestamps", timestamps, Element::f64, {-1, -1}, device);
  input.batch = timestamps.shape()[0];
  input.moments = timestamps.shape()[1];
  require(input.moments <= kMostRows, "timestamps: more than ", kMostRows, " of a video");
  input.timestamps = static_cast<const double*>(timestamps.data());
  input.lengths = lengths_of("lengths", lengths, input.batch, device);
  for (std::size_t m = 0; m < 2; ++m) {
    const std::string& name = names[m];
    expect_features(name + "_bank", given.banks[m], {input.batch, -1, m == 0 ? -1 : input.size}, device);
    const Shape& shape = given.banks[m].shape();
    input.size = shape[2];
    require(shape[1] <= kMostRows, name, "_bank: more than ", kMostRows, " knots");
    expect(name + "_times", given.times[m], Element::f64, {input.batch, shape[1]}, device);
    expect(name + "_query", given.queries[m], Element::f32, {input.batch, shape[2]}, device);
    input.banks[m] = {given.banks[m].data(), given.banks[m].element(), static_cast<const double*>(given.times[m].data()),
                      lengths_of(name + "_lengths", given.bank_lengths[m], input.batch, device), shape[1]};
    input.queries[m] = static_cast<const float*>(given.queries[m].data());
    if (!given.excluded[m]) continue;
    expect(name + "_excluded", *given.excluded[m], Element::boolean, {input.batch, input.moments}, device);
    input.excluded[m] = static_cast<const unsigned char*>(given.excluded[m]->data());
  }
  expect("modality_scores", modality_scores, Element::f32, {input.batch, 2}, device);
  input.modality_scores = static_cast<const float*>(modality_scores.data());
  return input;
}

py::tuple soft_index_arrays(const std::vector<DeviceArray>& banks, const std::vector<DeviceArray>& times,
                            const DeviceArray& timestamps, const std::vector<DeviceArray>& queries,
                            const DeviceArray& modality_scores, const std::vector<Optional>& bank_lengths,
                            const Optional& lengths, const std::vector<Optional>& excluded,
                            const std::string& precision, const std::shared_ptr<Stream>& stream) {
  require(banks.size() == 2 && times.size() == 2 && queries.size() == 2 && bank_lengths.size() == 2 &&
              excluded.size() == 2,
          "banks: expected an image and an audio one of each");
  const int device = banks[0].device();
  const Precision stored = cuda_precision(precision);
  const CudaSoftIndexInput input =
      checked({banks, times, queries, bank_lengths, excluded}, timestamps, modality_scores, lengths, device);
  const cuda::OnDevice on(device);
  if (cuda::is_capturing(stream->handle)) throw cuda::DeviceError("stream: soft_index cannot be captured; it allocates");
  const auto bytes = static_cast<std::int64_t>(soft_index_workspace_bytes(stored, input));
  const DeviceArray workspace = empty(Element::boolean, {bytes}, stream);
  std::vector<DeviceArray> outputs;
  for (int i = 0; i < 4; ++i) outputs.push_back(empty(Element::f32, {input.batch, i < 2 ? input.size : input.moments}, stream));
  CudaSoftIndexOutput output;
  for (std::size_t m = 0; m < 2; ++m) {
    output.features[m] = static_cast<float*>(outputs[m].data());
    output.attention[m] = static_cast<float*>(outputs[2 + m].data());
  }
  {
    const py::gil_scoped_release release;
    soft_index_cuda(stored, input, output, workspace.data(), {}, stream->handle);
  }
  return py::make_tuple(outputs[0], outputs[1], outputs[2], outputs[3]);
}

}  // namespace

void bind_cuda_ops(py::module_& module) {
  using py::arg;
  module.def("interpolate", &interpolate_arrays, arg("features"), arg("knot_times"), arg("timestamps"), arg("out"),
             arg("stream"));
  module.def("soft_index", &soft_index_arrays, arg("banks"), arg("times"), arg("timestamps"), arg("queries"),
             arg("modality_scores"), arg("bank_lengths"), arg("lengths"), arg("excluded"), arg("precision"),
             arg("stream"));
}

}  // namespace l2l::bindings
