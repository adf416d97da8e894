// What the library says when a caller's input cannot be used.
#pragma once

#include <sstream>
#include <stdexcept>

namespace l2l {

// Throws std::invalid_argument with the parts joined; bindings turn it into ValueError. The first part
// is always the name of the argument or tensor at fault.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw std::invalid_argument(message.str());
}

template <class... Parts>
void require(bool ok, const Parts&... parts) {
  if (!ok) fail(parts...);
}

}  // namespace l2l
