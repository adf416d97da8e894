#include "base/cpu_features.h"

#include "base/check.h"

namespace l2l {

Isa best_isa() {
#if defined(__x86_64__)
  // The compiler's own test, which also asks the operating system whether it saves the registers.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) return Isa::avx512_bf16;
  if (avx512) return Isa::avx512;
  if (avx2) return Isa::avx2;
#endif
  return Isa::portable;
}

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    case Isa::avx512_bf16: return "avx512_bf16";
    default: return "portable";
  }
}

Isa isa_from(const std::string& name) {
  const Isa best = best_isa();
  if (name == "auto") return best;
  for (Isa isa : {Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512_bf16}) {
    if (name != isa_name(isa)) continue;
    require(isa <= best, "instructions: this CPU has no ", name);
    return isa;
  }
  fail("instructions: expected auto, portable, avx2, avx512 or avx512_bf16, got ", name);
}

}  // namespace l2l
