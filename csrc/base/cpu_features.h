// Which instructions this CPU (and its operating system) can run.
#pragma once

#include <string>

namespace l2l {

// In rising order: a CPU that has one has all before it.
enum class Isa { portable, avx2, avx512, avx512_bf16 };

Isa best_isa();
const char* isa_name(Isa isa);

// "auto" or a name; throws std::invalid_argument naming "instructions" if unknown or not available here.
Isa isa_from(const std::string& name);

}  // namespace l2l
