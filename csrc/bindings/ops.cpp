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

View<const unsigned char, 2> mask_view(const std::string& name, const Optional<bool>& mask) {
  const auto flags = view<2>(name, mask);
  return {reinterpret_cast<const unsigned char*>(flags.data), flags.shape};
}

using Required = std::array<Array<float>, 2>;

py::tuple soft_index_arrays(const Required& banks, const std::array<Array<double>, 2>& times,
                            const Array<double>& timestamps, const Required& queries,
                            const Array<float>& modality_scores, const Pair<std::int64_t>& bank_lengths,
                            const Optional<std::int64_t>& lengths, const Pair<bool>& excluded,
                            const std::string& precision, const std::string& instructions) {
  SoftIndexInput input;
  input.timestamps = view<2>("timestamps", timestamps);
  input.lengths = view<1>("lengths", lengths);
  for (std::size_t m = 0; m < 2; ++m) {
    const std::string name = m == 0 ? "image" : "audio";
    input.banks[m] = bank_view(name, banks[m], times[m], bank_lengths[m]);
    input.queries[m] = view<2>(name + "_query", queries[m]);
    input.excluded[m] = mask_view(name + "_excluded", excluded[m]);
  }
  input.modality_scores = view<2>("modality_scores", modality_scores);
  const Isa isa = isa_from(instructions);
  const Precision stored = precision_from(precision);
  check_soft_index(input);
  const auto [batch, moments] = input.timestamps.shape;
  const std::int64_t size = input.banks[0].rows.shape[2];
  Array<float> features[2], attention[2];
  SoftIndexOutput output;
  for (int m = 0; m < 2; ++m) {
    features[m] = Array<float>({batch, size});
    attention[m] = Array<float>({batch, moments});
    output.features[m] = writable<2>(features[m]);
    output.attention[m] = writable<2>(attention[m]);
  }
  {
    py::gil_scoped_release release;
    soft_index(isa, stored, input, output);
  }
  return py::make_tuple(features[0], features[1], attention[0], attention[1]);
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
  module.def("soft_index", &soft_index_arrays, arg("banks").noconvert(), arg("times").noconvert(),
             arg("timestamps").noconvert(), arg("queries").noconvert(), arg("modality_scores").noconvert(),
             arg("bank_lengths").noconvert(), arg("lengths").noconvert(), arg("excluded").noconvert(),
             arg("precision"), arg("instructions"));
}

}  // namespace l2l::bindings
