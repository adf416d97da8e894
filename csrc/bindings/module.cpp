#include "bindings/module.h"

PYBIND11_MODULE(_native, module) {
  module.doc() = "The native core of l2l_engine; l2l_engine.skim and l2l_engine.ops are its fronts.";
  l2l::bindings::bind_ops(module);
  l2l::bindings::bind_skimmer(module);
}
