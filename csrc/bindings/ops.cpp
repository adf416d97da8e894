#include "bindings/arrays.h"
#include "bindings/module.h"
#include "bindings/options.h"
#include "ops/interpolate.h"
#include "ops/resample.h"
#include "ops/soft_index.h"

namespace l2l::bindings {
namespace {

Array<float> interpolate_arrays(const Array<float>& features, const Array<double>& knot_times,
                                const Array<double>& timestamps, const std::string& instructions) {
  const InterpolateInput input{view<3>("features", features), view<2>("knot_times", knot_times),
                               view<2>("timestamps", timestamps)};
  const Isa isa = isa_from(instructions);
  check_interpolate(input);
  Array<float> out({features.shape(0), timestamps.shape(1), features.shape(2)});
  const auto to = writable<3>(out);
  py::gil_scoped_release release;
  interpolate(isa, input, to);
  return out;
}

using Mask = std::optional<Array<bool>>;

View<const unsigned char, 2> mask_view(const char* name, const Mask& mask) {
  if (!mask) return {};
  const auto flags = view<2>(name, *mask);
  return {reinterpret_cast<const unsigned char*>(flags.data), flags.shape};
}

py::tuple soft_index_arrays(const Array<float>& image_bank, const Array<float>& audio_bank,
                            const Array<double>& image_times, const Array<double>& audio_times,
                            const Array<double>& timestamps, const Array<float>& image_query,
                            const Array<float>& audio_query, const Array<float>& modality_scores,
                            const Lengths& image_lengths, const Lengths& audio_lengths, const Lengths& lengths,
                            const Mask& image_excluded, const Mask& audio_excluded, const std::string& precision,
                            const std::string& instructions) {
  SoftIndexInput input;
  input.image = {view<3>("image_bank", image_bank), view<2>("image_times", image_times),
                 lengths_view("image_lengths", image_lengths)};
  input.audio = {view<3>("audio_bank", audio_bank), view<2>("audio_times", audio_times),
                 lengths_view("audio_lengths", audio_lengths)};
  input.timestamps = view<2>("timestamps", timestamps);
  input.lengths = lengths_view("lengths", lengths);
  input.image_query = view<2>("image_query", image_query);
  input.audio_query = view<2>("audio_query", audio_query);
  input.modality_scores = view<2>("modality_scores", modality_scores);
  input.image_excluded = mask_view("image_excluded", image_excluded);
  input.audio_excluded = mask_view("audio_excluded", audio_excluded);
  const Isa isa = isa_from(instructions);
  const Precision stored = precision_from(precision);
  check_soft_index(input);
  const py::ssize_t batch = timestamps.shape(0), moments = timestamps.shape(1), size = image_bank.shape(2);
  Array<float> image_features({batch, size}), audio_features({batch, size});
  Array<float> image_attention({batch, moments}), audio_attention({batch, moments});
  const SoftIndexOutput output{writable<2>(image_features), writable<2>(audio_features),
                               writable<2>(image_attention), writable<2>(audio_attention)};
  {
    py::gil_scoped_release release;
    soft_index(isa, stored, input, output);
  }
  return py::make_tuple(image_features, audio_features, image_attention, audio_attention);
}

Array<float> resample_array(const Array<float>& samples, const Array<float>& taps, std::int64_t rest,
                            std::int64_t step, std::int64_t cycle, std::int64_t count,
                            const std::string& instructions) {
  const ResampleInput input{view<1>("samples", samples), view<2>("taps", taps), rest, step, cycle};
  const Isa isa = isa_from(instructions);
  check_resample(input, count);
  Array<float> out({static_cast<py::ssize_t>(count)});
  const auto to = writable<1>(out);
  py::gil_scoped_release release;
  resample(isa, input, to);
  return out;
}

}  // namespace

void bind_ops(py::module_& module) {
  using py::arg;
  module.def("interpolate", &interpolate_arrays, arg("features").noconvert(), arg("knot_times").noconvert(),
             arg("timestamps").noconvert(), arg("instructions"));
  module.def("resample", &resample_array, arg("samples").noconvert(), arg("taps").noconvert(), arg("rest"),
             arg("step"), arg("cycle"), arg("count"), arg("instructions"));
  module.def("soft_index", &soft_index_arrays, arg("image_bank").noconvert(), arg("audio_bank").noconvert(),
             arg("image_times").noconvert(), arg("audio_times").noconvert(), arg("timestamps").noconvert(),
             arg("image_query").noconvert(), arg("audio_query").noconvert(), arg("modality_scores").noconvert(),
             arg("image_lengths").noconvert(), arg("audio_lengths").noconvert(), arg("lengths").noconvert(),
             arg("image_excluded").noconvert(), arg("audio_excluded").noconvert(), arg("precision"),
             arg("instructions"));
}

}  // namespace l2l::bindings
