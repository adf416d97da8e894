#include <map>
#include <memory>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "bindings/options.h"
#include "skim/skimmer.h"

namespace l2l::bindings {
namespace {

const char* precision_name(Precision precision) {
  switch (precision) {
    case Precision::bf16: return "bf16";
    case Precision::fp16: return "fp16";
    default: return "fp32";
  }
}

using TensorDict = std::map<std::string, Array<float>>;

std::unique_ptr<Skimmer> make_skimmer(const TensorDict& weights, bool relu_keys, bool exclude_previous_argmax,
                                      const std::string& precision, const std::string& instructions,
                                      std::int64_t threads) {
  TensorMap tensors;
  for (const auto& [name, array] : weights) {
    tensors[name] = {array.data(), {array.shape(), array.shape() + array.ndim()}};
  }
  const Settings settings{relu_keys, exclude_previous_argmax, precision_from(precision)};
  const Isa isa = isa_from(instructions);
  py::gil_scoped_release release;
  return std::make_unique<Skimmer>(tensors, settings, isa, threads);
}

py::tuple run(const Skimmer& skimmer, const Pair<float>& banks, const Pair<double>& times,
              const Array<double>& timestamps, std::int64_t steps, const Pair<std::int64_t>& bank_lengths,
              const Optional<std::int64_t>& lengths) {
  const SkimInput input{{bank_view("image", banks[0], times[0], bank_lengths[0]),
                         bank_view("audio", banks[1], times[1], bank_lengths[1])},
                        view<2>("timestamps", timestamps), view<1>("lengths", lengths), steps};
  {
    py::gil_scoped_release release;
    skimmer.check(input);
  }
  const auto [batch, moments] = input.timestamps.shape;
  const auto shapes = output_shapes(batch, moments, steps, skimmer.class_count(), skimmer.feature_size());
  std::array<float*, kOutputs> data;
  py::tuple outputs(kOutputs);
  for (std::size_t i = 0; i < kOutputs; ++i) {
    Array<float> array(shapes[i].extents);
    data[i] = array.mutable_data();
    outputs[i] = std::move(array);
  }
  const SkimOutput output = output_views(shapes, data);
  {
    py::gil_scoped_release release;
    skimmer.run(input, output);
  }
  return outputs;
}

}  // namespace

void bind_skimmer(py::module_& module) {
  using py::arg;
  module.attr("MAX_STEPS") = kMaxSteps;
  py::class_<Skimmer>(module, "Skimmer")
      .def(py::init(&make_skimmer), arg("weights").noconvert(), arg("relu_keys"), arg("exclude_previous_argmax"),
           arg("precision"), arg("instructions"), arg("threads"))
      .def("run", &run, arg("banks").noconvert(), arg("times").noconvert(), arg("timestamps").noconvert(), arg("steps"),
           arg("bank_lengths").noconvert(), arg("lengths").noconvert())
      .def_property_readonly("feature_size", &Skimmer::feature_size)
      .def_property_readonly("class_count", &Skimmer::class_count)
      .def_property_readonly("precision", [](const Skimmer& s) { return precision_name(s.settings().precision); })
      .def_property_readonly("instructions", [](const Skimmer& s) { return isa_name(s.isa()); })
      .def_property_readonly("threads", &Skimmer::threads)
      .def_property_readonly("visual_only", &Skimmer::visual_only);
}

}  // namespace l2l::bindings
