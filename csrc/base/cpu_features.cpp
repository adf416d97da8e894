#include "base/cpu_features.h"

#include <initializer_list>

#include "base/check.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace l2l {

#if defined(__x86_64__)
namespace {

// By the instructions themselves: what a compiler offers for this asks its runtime, which not every one brings.
struct CpuFlags {
  unsigned leaf1_ecx = 0, leaf7_ebx = 0, leaf7_1_eax = 0;
  unsigned saved = 0;  // registers that the operating system saves (XCR0)

  CpuFlags() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d)) leaf1_ecx = c;
    unsigned most = 0;
    if (__get_cpuid_count(7, 0, &most, &b, &c, &d)) leaf7_ebx = b;
    if (most >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) leaf7_1_eax = a;
    if (has(leaf1_ecx, {27})) __asm__("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
  }

  static bool has(unsigned flags, std::initializer_list<int> bits) {
    for (int bit : bits) {
      if (!(flags >> bit & 1)) return false;
    }
    return true;
  }
};

}  // namespace
#endif

Isa best_isa() {
#if defined(__x86_64__)
  static const CpuFlags cpu;
  const auto has = CpuFlags::has;
  // FMA, AVX and F16C; AVX2; XMM and YMM are saved.
  const bool avx2 = has(cpu.leaf1_ecx, {12, 28, 29}) && has(cpu.leaf7_ebx, {5}) && has(cpu.saved, {1, 2});
  // F, DQ, BW, VL; mask registers and both halves of ZMM are saved.
  const bool avx512 = avx2 && has(cpu.leaf7_ebx, {16, 17, 30, 31}) && has(cpu.saved, {5, 6, 7});
  if (avx512 && has(cpu.leaf7_1_eax, {5})) return Isa::avx512_bf16;
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
