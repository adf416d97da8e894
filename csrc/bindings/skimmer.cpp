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
  require(threads >= 1 && threads <= kMaxThreads, "threads: ", threads, " is not between 1 and ", kMaxThreads);
  TensorMap tensors;
  for (const auto& [name, array] : weights) {
    tensors[name] = {array.data(), {array.shape(), array.shape() + array.ndim()}};
  }
  const Settings settings{relu_keys, exclude_previous_argmax, precision_from(precision)};
  const Isa isa = isa_from(instructions);
  py::gil_scoped_release release;
  return std::make_unique<Skimmer>(tensors, settings, isa, threads);
}

// An absent modality is None for both; the front has seen to that.
Bank bank_view(const std::string& modality, const std::optional<Array<float>>& rows,
               const std::optional<Array<double>>& times, const Lengths& lengths) {
  if (!rows) return {};
  require(times.has_value(), modality, "_times: missing");
  return {view<3>((modality + "_bank").c_str(), *rows), view<2>((modality + "_times").c_str(), *times),
          lengths_view((modality + "_lengths").c_str(), lengths)};
}

py::tuple run(const Skimmer& skimmer, const std::optional<Array<float>>& image_bank,
              const std::optional<Array<float>>& audio_bank, const std::optional<Array<double>>& image_times,
              const std::optional<Array<double>>& audio_times, const Array<double>& timestamps, std::int64_t steps,
              const Lengths& image_lengths, const Lengths& audio_lengths, const Lengths& lengths) {
  SkimInput input;
  input.image = bank_view("image", image_bank, image_times, image_lengths);
  input.audio = bank_view("audio", audio_bank, audio_times, audio_lengths);
  input.timestamps = view<2>("timestamps", timestamps);
  input.lengths = lengths_view("lengths", lengths);
  input.steps = steps;
  {
    py::gil_scoped_release release;
    skimmer.check(input);
  }
  const py::ssize_t batch = timestamps.shape(0), moments = timestamps.shape(1);
  Array<float> logits({batch, py::ssize_t{skimmer.class_count()}});
  Array<float> image_attention({batch, py::ssize_t{steps}, moments});
  Array<float> audio_attention({batch, py::ssize_t{steps}, moments});
  Array<float> modality_scores({batch, py::ssize_t{steps}, py::ssize_t{2}});
  Array<float> step_features({batch, py::ssize_t{steps}, py::ssize_t{skimmer.feature_size()}});
  const SkimOutput output{writable<2>(logits), writable<3>(image_attention), writable<3>(audio_attention),
                          writable<3>(modality_scores), writable<3>(step_features)};
  {
    py::gil_scoped_release release;
    skimmer.run(input, output);
  }
  return py::make_tuple(logits, image_attention, audio_attention, modality_scores, step_features);
}

}  // namespace

void bind_skimmer(py::module_& module) {
  using py::arg;
  py::class_<Skimmer>(module, "Skimmer")
      .def(py::init(&make_skimmer), arg("weights").noconvert(), arg("relu_keys"), arg("exclude_previous_argmax"),
           arg("precision"), arg("instructions"), arg("threads"))
      .def("run", &run, arg("image_bank").noconvert(), arg("audio_bank").noconvert(), arg("image_times").noconvert(),
           arg("audio_times").noconvert(), arg("timestamps").noconvert(), arg("steps"),
           arg("image_lengths").noconvert(), arg("audio_lengths").noconvert(), arg("lengths").noconvert())
      .def_property_readonly("feature_size", &Skimmer::feature_size)
      .def_property_readonly("class_count", &Skimmer::class_count)
      .def_property_readonly("precision", [](const Skimmer& s) { return precision_name(s.settings().precision); })
      .def_property_readonly("instructions", [](const Skimmer& s) { return isa_name(s.isa()); })
      .def_property_readonly("threads", &Skimmer::threads)
      .def_property_readonly("visual_only", &Skimmer::visual_only);
}

}  // namespace l2l::bindings
