#include "skim/cuda_pairing.h"

#include "base/device.h"
#include "bindings/cuda_module.h"
#include "bindings/cuda_placed.h"

namespace l2l::bindings {
namespace {

// Indices are kept in 32 bits.
constexpr std::int64_t kMostRows = 1 << 24;

using PlacedPairing = Placed<CudaPairing>;

std::unique_ptr<PlacedPairing> make_pairing(const TensorDict& weights, const std::string& precision, int device) {
  const TensorMap tensors = tensor_map(weights);
  const Precision stored = cuda_precision(precision);
  const py::gil_scoped_release release;
  cuda::require_device(device);
  return std::make_unique<PlacedPairing>(device, tensors, stored);
}

CudaPairingInput::Side side_of(const PlacedPairing& placed, const std::string& name, const Optional& rows,
                               const Optional& times, std::int64_t batch) {
  if (!rows) return {};
  expect(name + "_bank", *rows, Element::f32, {batch, -1, placed->feature_size()}, placed.device);
  const std::int64_t knots = rows->shape()[1];
  require(knots <= kMostRows, name, "_bank: more than ", kMostRows, " knots");
  require(times.has_value(), name, "_times: missing");
  expect(name + "_times", *times, Element::f64, {batch, knots}, placed.device);
  return {static_cast<const float*>(rows->data()), static_cast<const double*>(times->data()), knots};
}

std::vector<Optional> run(const PlacedPairing& placed, const std::vector<Optional>& banks,
                          const std::vector<Optional>& times, const std::vector<Optional>& given,
                          const std::shared_ptr<Stream>& stream) {
  require(banks.size() == 2 && times.size() == 2 && given.size() == 2, "banks: expected an image and an audio one");
  const Optional& some = banks[0] ? banks[0] : banks[1];
  require(some.has_value(), "image_bank: neither modality is present");
  expect(banks[0] ? "image_bank" : "audio_bank", *some, Element::f32, {-1, -1, placed->feature_size()}, placed.device);
  CudaPairingInput input;
  input.batch = some->shape()[0];
  const char* names[] = {"image", "audio"};
  for (std::size_t m = 0; m < 2; ++m) input.sides[m] = side_of(placed, names[m], banks[m], times[m], input.batch);
  const cuda::OnDevice on(placed.device);
  if (cuda::is_capturing(stream->handle)) throw cuda::DeviceError("stream: joining cannot be captured; it allocates");
  std::vector<Optional> joined(2);
  float* out[2] = {};
  for (std::size_t m = 0; m < 2; ++m) {
    if (!banks[m]) continue;
    joined[m] = given[m] ? *given[m] : empty(Element::f32, banks[m]->shape(), stream);
    expect(std::string("out: ") + names[m], *joined[m], Element::f32, banks[m]->shape(), placed.device);
    out[m] = static_cast<float*>(joined[m]->data());
  }
  const DeviceArray workspace = empty(Element::boolean, {static_cast<std::int64_t>(placed->workspace_bytes(input))}, stream);
  {
    const py::gil_scoped_release release;
    placed->run(input, out, workspace.data(), {}, stream->handle);
  }
  return joined;
}

}  // namespace

void bind_cuda_pairing(py::module_& module) {
  using py::arg;
  py::class_<PlacedPairing>(module, "Pairing")
      .def(py::init(&make_pairing), arg("weights").noconvert(), arg("precision"), arg("device"))
      .def("run", &run, arg("banks"), arg("times"), arg("out"), arg("stream"))
      .def_property_readonly("device", [](const PlacedPairing& p) { return p.device; })
      .def_property_readonly("feature_size", [](const PlacedPairing& p) { return p->feature_size(); });
}

}  // namespace l2l::bindings
