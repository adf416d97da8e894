#include "skim/cuda_skimmer.h"

#include <pybind11/numpy.h>

#include <map>

#include "base/device.h"
#include "bindings/cuda_module.h"

namespace l2l::bindings {
namespace {

// A skimmer with the device that it is on.
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

using Pair = std::array<Optional, 2>;

std::array<OutputShape, kOutputs> shapes_of(const Placed& placed, const CudaSkimInput& input) {
  const auto [batch, moments] = input.timestamps.shape;
  const CudaSkimmer& skimmer = *placed.skimmer;
  return output_shapes(batch, moments, input.steps, skimmer.class_count(), skimmer.feature_size());
}

// Makes the outputs and, last, the working memory; or takes the caller's, which it checks.
std::vector<DeviceArray> memory_for(const Placed& placed, const CudaSkimInput& input, const CudaGeometry& geometry,
                                    const std::shared_ptr<Stream>& stream, const Optional& workspace,
                                    const std::optional<std::vector<DeviceArray>>& out) {
  if ((!workspace || !out) && cuda::is_capturing(stream->handle)) {
    throw cuda::DeviceError("stream: while it is being captured no memory can be allocated; pass the space= that space() makes");
  }
  std::vector<DeviceArray> memory;
  require(!out || out->size() == kOutputs, "space: expected ", kOutputs, " outputs");
  for (const OutputShape& shape : shapes_of(placed, input)) {
    memory.push_back(out ? (*out)[memory.size()] : empty(Element::f32, shape.extents, stream));
    expect(std::string("space: ") + shape.name, memory.back(), Element::f32, shape.extents, placed.device);
  }
  const auto bytes = static_cast<std::int64_t>(placed.skimmer->workspace_bytes(input, geometry.projected));
  memory.push_back(workspace ? *workspace : empty(Element::boolean, {bytes}, stream));
  const DeviceArray& working = memory.back();
  placed.skimmer->check_workspace(input, geometry.projected, working.data(), working.bytes());
  require(working.device() == placed.device, "space: the workspace must be on GPU ", placed.device);
  // Of what is captured only the graph's owner knows where it runs.
  const bool queued = !cuda::is_capturing(stream->handle);
  for (const DeviceArray& array : memory) {
    expect_writable("space", array);
    if (queued) array.memory()->read_on(stream);
  }
  return memory;
}

// The outputs; and if `timed`, also the phases as (name, step or -1) and their nanoseconds int64 [phases, blocks, 2],
// each block's begin and end.
py::tuple run(const Placed& placed, const Pair& banks, const Pair& times, const DeviceArray& timestamps,
              std::int64_t steps, const Pair& bank_lengths, const Optional& lengths,
              const std::shared_ptr<Stream>& stream, const std::optional<bool>& persistent,
              const std::optional<bool>& projected, const Optional& workspace,
              const std::optional<std::vector<DeviceArray>>& out, bool timed) {
  const int device = placed.device;
  const CudaSkimInput input{{bank_view("image", banks[0], times[0], bank_lengths[0], device),
                             bank_view("audio", banks[1], times[1], bank_lengths[1], device)},
                            view<double, 2>("timestamps", timestamps, device),
                            view<std::int64_t, 1>("lengths", lengths, device), steps};
  placed.skimmer->check(input);
  const cuda::OnDevice on(device);
  const CudaGeometry geometry = placed.skimmer->geometry(input, persistent, projected);
  const std::vector<DeviceArray> memory = memory_for(placed, input, geometry, stream, workspace, out);
  std::array<float*, kOutputs> data;
  for (std::size_t i = 0; i < kOutputs; ++i) data[i] = static_cast<float*>(memory[i].data());
  const SkimOutput output = output_views(shapes_of(placed, input), data);
  const std::vector<CudaPhase> phases = timed ? placed.skimmer->phases(input, geometry.projected) : std::vector<CudaPhase>{};
  const Shape shape{static_cast<std::int64_t>(phases.size()), geometry.blocks, 2};
  const Optional noted = timed ? Optional(empty(Element::i64, shape, stream)) : std::nullopt;
  {
    const py::gil_scoped_release release;
    placed.skimmer->run(input, output, memory.back().data(), geometry, stream->handle,
                        noted ? static_cast<unsigned long long*>(noted->data()) : nullptr);
  }
  const auto outputs = py::tuple(py::cast(std::vector<DeviceArray>(memory.begin(), memory.end() - 1)));
  if (!timed) return outputs;
  py::list named;
  for (const CudaPhase& phase : phases) named.append(py::make_tuple(phase.name, phase.step));
  return py::make_tuple(outputs, named, *noted);
}

// Says how much working memory a run of such sizes takes, and which shapes its outputs have.
py::tuple space_for(const Placed& placed, std::int64_t batch, std::int64_t moments, std::int64_t image_knots,
                    std::int64_t audio_knots, std::int64_t steps, const std::optional<bool>& projected) {
  const CudaSkimInput input = sized_input(batch, moments, image_knots, audio_knots, steps);
  const cuda::OnDevice on(placed.device);
  const bool chosen = projected.value_or(placed.skimmer->geometry(input).projected);
  std::vector<Shape> shapes;
  for (const OutputShape& shape : shapes_of(placed, input)) shapes.push_back(shape.extents);
  return py::make_tuple(placed.skimmer->workspace_bytes(input, chosen), shapes);
}

// How a run of such sizes is launched, as the device's number of processors and room per block have it.
py::dict launch_for(const Placed& placed, std::int64_t batch, std::int64_t moments, std::int64_t image_knots,
                    std::int64_t audio_knots, std::int64_t steps, const std::optional<bool>& persistent,
                    const std::optional<bool>& projected) {
  const CudaSkimInput input = sized_input(batch, moments, image_knots, audio_knots, steps);
  const cuda::OnDevice on(placed.device);
  const CudaGeometry geometry = placed.skimmer->geometry(input, persistent, projected);
  const CudaKept kept = placed.skimmer->kept(input, geometry);
  py::dict found;
  found["persistent"] = geometry.persistent;
  found["projected"] = geometry.projected;
  found["blocks"] = geometry.blocks;
  found["threads"] = geometry.threads;
  found["rows_kept"] = py::make_tuple(kept.rows, kept.of);
  return found;
}

}  // namespace

void bind_cuda_skimmer(py::module_& module) {
  using py::arg;
  py::class_<Placed>(module, "Skimmer")
      .def(py::init(&make_skimmer), arg("weights").noconvert(), arg("relu_keys"), arg("exclude_previous_argmax"),
           arg("precision"), arg("device"))
      .def("run", &run, arg("banks"), arg("times"), arg("timestamps"), arg("steps"), arg("bank_lengths"),
           arg("lengths"), arg("stream"), arg("persistent"), arg("projected"), arg("workspace"), arg("out"),
           arg("timed"))
      .def("launch_for", &launch_for, arg("batch"), arg("moments"), arg("image_knots"), arg("audio_knots"),
           arg("steps"), arg("persistent"), arg("projected"))
      .def("space_for", &space_for, arg("batch"), arg("moments"), arg("image_knots"), arg("audio_knots"),
           arg("steps"), arg("projected"))
      .def_property_readonly("device", [](const Placed& p) { return p.device; })
      .def_property_readonly("feature_size", [](const Placed& p) { return p.skimmer->feature_size(); })
      .def_property_readonly("class_count", [](const Placed& p) { return p.skimmer->class_count(); })
      .def_property_readonly("precision", [](const Placed& p) { return precision_name(p.skimmer->settings().precision); })
      .def_property_readonly("visual_only", [](const Placed& p) { return p.skimmer->visual_only(); });
}

}  // namespace l2l::bindings
