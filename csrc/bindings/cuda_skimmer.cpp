#include "skim/cuda_skimmer.h"

#include <pybind11/numpy.h>

#include <map>

#include "base/device.h"
#include "bindings/cuda_module.h"

namespace l2l::bindings {
namespace {

constexpr std::int64_t kMostRows = 1 << 24, kMostSteps = 1000;

// With the device that it is on.
struct Placed {
  int device;
  std::unique_ptr<CudaSkimmer> skimmer;

  Placed(int on, const TensorMap& tensors, const Settings& settings) : device(on) {
    const cuda::OnDevice guard(device);
    skimmer = std::make_unique<CudaSkimmer>(tensors, settings);
  }
  ~Placed() {
    try {
      const cuda::OnDevice guard(device);
      skimmer.reset();
    } catch (const cuda::DeviceError&) {
      // The device has failed; what was on it is gone.
    }
  }
};

using TensorDict = std::map<std::string, py::array_t<float, py::array::c_style>>;

std::unique_ptr<Placed> make_skimmer(const TensorDict& weights, bool relu_keys, bool exclude_previous_argmax,
                                     const std::string& precision, int device) {
  TensorMap tensors;
  for (const auto& [name, array] : weights) {
    tensors[name] = {array.data(), {array.shape(), array.shape() + array.ndim()}};
  }
  const Settings settings{relu_keys, exclude_previous_argmax, cuda_precision(precision)};
  const py::gil_scoped_release release;
  cuda::require_device(device);
  return std::make_unique<Placed>(device, tensors, settings);
}

const char* precision_name(Precision precision) {
  return precision == Precision::fp32 ? "fp32" : precision == Precision::bf16 ? "bf16" : "fp16";
}

CudaBank bank_of(const Placed& placed, const std::string& name, const Optional& rows, const Optional& times,
                 const Optional& lengths, std::int64_t batch) {
  if (!rows) return {};
  expect_features(name + "_bank", *rows, {batch, -1, placed.skimmer->feature_size()}, placed.device);
  const std::int64_t knots = rows->shape()[1];
  require(knots <= kMostRows, name, "_bank: more than ", kMostRows, " knots");
  require(times.has_value(), name, "_times: missing");
  expect(name + "_times", *times, Element::f64, {batch, knots}, placed.device);
  return {rows->data(), rows->element(), static_cast<const double*>(times->data()),
          lengths_of(name + "_lengths", lengths, batch, placed.device), knots};
}

void check_steps(std::int64_t steps) {
  require(steps >= 1 && steps <= kMostSteps, "steps: ", steps, " is not between 1 and ", kMostSteps);
}

CudaSkimInput checked(const Placed& placed, const std::vector<Optional>& banks, const std::vector<Optional>& times,
                      const DeviceArray& timestamps, std::int64_t steps, const std::vector<Optional>& bank_lengths,
                      const Optional& lengths) {
  require(banks.size() == 2 && times.size() == 2 && bank_lengths.size() == 2, "banks: expected an image and an audio one");
  expect("timestamps", timestamps, Element::f64, {-1, -1}, placed.device);
  CudaSkimInput input;
  input.batch = timestamps.shape()[0];
  input.moments = timestamps.shape()[1];
  input.timestamps = static_cast<const double*>(timestamps.data());
  require(input.moments <= kMostRows, "timestamps: more than ", kMostRows, " of a video");
  input.lengths = lengths_of("lengths", lengths, input.batch, placed.device);
  check_steps(steps);
  input.steps = steps;
  input.banks[0] = bank_of(placed, "image", banks[0], times[0], bank_lengths[0], input.batch);
  input.banks[1] = bank_of(placed, "audio", banks[1], times[1], bank_lengths[1], input.batch);
  require(input.banks[0].rows != nullptr || input.banks[1].rows != nullptr, "image_bank: neither modality is present");
  require(!placed.skimmer->visual_only() || input.banks[1].rows == nullptr, "audio_bank: the weights are visual only");
  return input;
}

CudaGeometry geometry_of(const Placed& placed, const CudaSkimInput& input, const std::optional<bool>& persistent,
                         const std::optional<bool>& projected) {
  const CudaGeometry chosen = placed.skimmer->geometry(input);
  if (!persistent && !projected) return chosen;
  return placed.skimmer->geometry(input, persistent.value_or(chosen.persistent), projected.value_or(chosen.projected));
}

std::vector<Shape> output_shapes(const Placed& placed, const CudaSkimInput& input) {
  return {{input.batch, placed.skimmer->class_count()},
          {input.batch, input.steps, input.moments},
          {input.batch, input.steps, input.moments},
          {input.batch, input.steps, 2},
          {input.batch, input.steps, placed.skimmer->feature_size()}};
}

constexpr const char* kOutputs[] = {"logits", "image_attention", "audio_attention", "modality_scores", "step_features"};

// New outputs and working memory, or the caller's, checked.
std::vector<DeviceArray> memory_for(const Placed& placed, const CudaSkimInput& input, const CudaGeometry& geometry,
                                    const std::shared_ptr<Stream>& stream, const Optional& workspace,
                                    const std::optional<std::vector<DeviceArray>>& out) {
  if ((!workspace || !out) && cuda::is_capturing(stream->handle)) {
    throw cuda::DeviceError("stream: while it is being captured no memory can be allocated; pass the space= that space() makes");
  }
  const std::vector<Shape> shapes = output_shapes(placed, input);
  std::vector<DeviceArray> memory;
  require(!out || out->size() == shapes.size(), "space: expected ", shapes.size(), " outputs");
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    memory.push_back(out ? (*out)[i] : empty(Element::f32, shapes[i], stream));
    expect(std::string("space: ") + kOutputs[i], memory.back(), Element::f32, shapes[i], placed.device);
  }
  const auto bytes = static_cast<std::int64_t>(placed.skimmer->workspace_bytes(input, geometry.projected));
  memory.push_back(workspace ? *workspace : empty(Element::boolean, {bytes}, stream));
  const DeviceArray& working = memory.back();
  require(static_cast<std::int64_t>(working.bytes()) >= bytes, "space: the workspace has ", working.bytes(),
          " bytes, this run needs ", bytes);
  require(working.device() == placed.device && reinterpret_cast<std::uintptr_t>(working.data()) % 16 == 0,
          "space: the workspace must be on GPU ", placed.device, " and begin on 16 bytes");
  return memory;
}

py::tuple run(const Placed& placed, const std::vector<Optional>& banks, const std::vector<Optional>& times,
              const DeviceArray& timestamps, std::int64_t steps, const std::vector<Optional>& bank_lengths,
              const Optional& lengths, const std::shared_ptr<Stream>& stream, const std::optional<bool>& persistent,
              const std::optional<bool>& projected, const Optional& workspace,
              const std::optional<std::vector<DeviceArray>>& out) {
  const CudaSkimInput input = checked(placed, banks, times, timestamps, steps, bank_lengths, lengths);
  const cuda::OnDevice on(placed.device);
  const CudaGeometry geometry = geometry_of(placed, input, persistent, projected);
  const std::vector<DeviceArray> memory = memory_for(placed, input, geometry, stream, workspace, out);
  const auto floats = [&](int i) { return static_cast<float*>(memory[static_cast<std::size_t>(i)].data()); };
  CudaSkimOutput output{floats(0), {floats(1), floats(2)}, floats(3), floats(4)};
  {
    const py::gil_scoped_release release;
    placed.skimmer->run(input, output, memory.back().data(), geometry, stream->handle);
  }
  return py::make_tuple(memory[0], memory[1], memory[2], memory[3], memory[4]);
}

// The largest working memory that any way of launching takes for such sizes.
std::int64_t workspace_bytes(const Placed& placed, std::int64_t batch, std::int64_t moments, std::int64_t image_knots,
                             std::int64_t audio_knots, std::int64_t steps, const std::optional<bool>& projected) {
  CudaSkimInput input;
  input.batch = batch;
  input.moments = moments;
  input.steps = steps;
  check_steps(steps);
  require(batch >= 1 && batch <= kMostRows, "batch: ", batch, " is out of range");
  require(moments >= 1 && moments <= kMostRows, "moments: ", moments, " is out of range");
  const std::int64_t knots[] = {image_knots, audio_knots};
  for (int m = 0; m < 2; ++m) {
    require(knots[m] >= 0 && knots[m] <= kMostRows, m == 0 ? "image" : "audio", "_knots: ", knots[m], " is out of range");
    input.banks[m].knots = knots[m];
    // Only asked whether it is there.
    if (knots[m] > 0) input.banks[m].rows = &placed;
  }
  require(image_knots + audio_knots > 0, "image_knots: neither modality is present");
  const cuda::OnDevice on(placed.device);
  const bool chosen = projected.value_or(placed.skimmer->geometry(input).projected);
  return static_cast<std::int64_t>(placed.skimmer->workspace_bytes(input, chosen));
}

}  // namespace

void bind_cuda_skimmer(py::module_& module) {
  using py::arg;
  py::class_<Placed>(module, "Skimmer")
      .def(py::init(&make_skimmer), arg("weights").noconvert(), arg("relu_keys"), arg("exclude_previous_argmax"),
           arg("precision"), arg("device"))
      .def("run", &run, arg("banks"), arg("times"), arg("timestamps"), arg("steps"), arg("bank_lengths"),
           arg("lengths"), arg("stream"), arg("persistent"), arg("projected"), arg("workspace"), arg("out"))
      .def("workspace_bytes", &workspace_bytes, arg("batch"), arg("moments"), arg("image_knots"), arg("audio_knots"),
           arg("steps"), arg("projected"))
      .def_property_readonly("device", [](const Placed& p) { return p.device; })
      .def_property_readonly("feature_size", [](const Placed& p) { return p.skimmer->feature_size(); })
      .def_property_readonly("class_count", [](const Placed& p) { return p.skimmer->class_count(); })
      .def_property_readonly("precision", [](const Placed& p) { return precision_name(p.skimmer->settings().precision); })
      .def_property_readonly("visual_only", [](const Placed& p) { return p.skimmer->visual_only(); });
}

}  // namespace l2l::bindings
