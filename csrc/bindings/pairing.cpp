#include "skim/pairing.h"

#include <memory>
#include <optional>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "bindings/options.h"
#include "bindings/tensors.h"

namespace l2l::bindings {
namespace {

using Rows = std::optional<Array<float>>;

std::unique_ptr<Pairing> make_pairing(const TensorDict& weights, const std::string& precision,
                                      const std::string& instructions, std::int64_t threads) {
  check_threads(threads);
  const TensorMap tensors = tensor_map(weights);
  const Precision stored = precision_from(precision);
  const Isa isa = isa_from(instructions);
  py::gil_scoped_release release;
  return std::make_unique<Pairing>(tensors, stored, isa, threads);
}

View<const float, 3> rows_view(const char* name, const Rows& rows) {
  return rows ? view<3>(name, *rows) : View<const float, 3>{};
}

Rows like(const Rows& rows) {
  if (!rows) return std::nullopt;
  return Array<float>({rows->shape(0), rows->shape(1), rows->shape(2)});
}

py::tuple run(const Pairing& pairing, const Rows& image, const Rows& heard, const Rows& seen, const Rows& audio) {
  const PairingInput input{rows_view("image", image), rows_view("heard", heard), rows_view("seen", seen),
                           rows_view("audio", audio)};
  pairing.check(input);
  Rows joined_image = like(image), joined_audio = like(audio);
  PairingOutput output;
  if (joined_image) output.image = writable<3>(*joined_image);
  if (joined_audio) output.audio = writable<3>(*joined_audio);
  {
    py::gil_scoped_release release;
    pairing.run(input, output);
  }
  return py::make_tuple(joined_image, joined_audio);
}

}  // namespace

void bind_pairing(py::module_& module) {
  using py::arg;
  py::class_<Pairing>(module, "Pairing")
      .def(py::init(&make_pairing), arg("weights").noconvert(), arg("precision"), arg("instructions"), arg("threads"))
      .def("run", &run, arg("image").noconvert(), arg("heard").noconvert(), arg("seen").noconvert(),
           arg("audio").noconvert())
      .def_property_readonly("feature_size", &Pairing::feature_size);
}

}  // namespace l2l::bindings
