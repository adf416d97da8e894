// AVX-512 with the instructions that multiply bf16 pairs: twice the products of the float path, for which
// the inputs of linear layers are rounded to bf16 as their weights are. Sums stay in float32.
#include "ops/simd_avx512.h"
// The register type comes first: the kernels are written over it.
#include "ops/kernels_simd.h"

namespace l2l {
namespace {

constexpr std::int64_t kColumns = 512;  // of the inputs, rounded at a time

// kVectors registers of rows of one panel for kBatch inputs; the sums begin at y, or at the bias.
template <int kBatch>
void linear_block_bf16(const LinearCall& call, const std::uint16_t* weight, const std::uint32_t (*pairs)[kColumns / 2],
                       std::int64_t columns, bool first, std::int64_t row, std::int64_t batch) {
  __m512 sum[kBatch][kVectors];
  for (int b = 0; b < kBatch; ++b) {
    const float* from = first ? call.bias + row : call.y + (batch + b) * call.y_stride + row;
    for (int v = 0; v < kVectors; ++v) sum[b][v] = _mm512_loadu_ps(from + v * V::kWidth);
  }
  for (std::int64_t i = 0; i < columns / 2; ++i, weight += 2 * kPanel) {
    __m512bh w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(weight + v * kPair));
    for (int b = 0; b < kBatch; ++b) {
      const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(pairs[b][i])));
      for (int v = 0; v < kVectors; ++v) sum[b][v] = _mm512_dpbf16_ps(sum[b][v], w[v], x);
    }
  }
  for (int b = 0; b < kBatch; ++b) {
    float* to = call.y + (batch + b) * call.y_stride + row;
    for (int v = 0; v < kVectors; ++v) _mm512_storeu_ps(to + v * V::kWidth, sum[b][v]);
  }
}

template <int kBatch>
void linear_batch_bf16(const LinearCall& call, std::int64_t panel, std::int64_t& batch) {
  alignas(64) std::uint32_t pairs[kBatch][kColumns / 2];
  for (; batch + kBatch <= call.batch; batch += kBatch) {
    for (std::int64_t c = 0; c < call.in; c += kColumns) {
      const std::int64_t columns = call.in - c < kColumns ? call.in - c : kColumns;
      for (int b = 0; b < kBatch; ++b) {
        const float* x = call.x + (batch + b) * call.x_stride + c;
        for (std::int64_t i = 0; i < columns; i += kPair) {
          const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + V::kWidth), _mm512_loadu_ps(x + i));
          _mm512_store_si512(&pairs[b][i / 2], reinterpret_cast<__m512i>(both));
        }
      }
      const auto* weight = static_cast<const std::uint16_t*>(call.weight) + (panel * call.in + c) * kPanel;
      linear_block_bf16<kBatch>(call, weight, pairs, columns, c == 0, panel * kPanel, batch);
    }
    if (!call.relu) continue;
    for (int b = 0; b < kBatch; ++b) {
      float* y = call.y + (batch + b) * call.y_stride + panel * kPanel;
      for (int v = 0; v < kVectors; ++v) max(V::load(y + v * V::kWidth), V::set(0.0f)).store(y + v * V::kWidth);
    }
  }
}

void linear_bf16(const LinearCall& call) {
  static_assert(kVectors * V::kWidth == kPanel);
  for (std::int64_t panel = call.begin; panel < call.end; ++panel) {
    std::int64_t batch = 0;
    linear_batch_bf16<V::kBatchTile>(call, panel, batch);
    linear_batch_bf16<3>(call, panel, batch);
    linear_batch_bf16<1>(call, panel, batch);
  }
}

constexpr Kernels bf16_table() {
  Kernels kernels = table(Isa::avx512_bf16);
  kernels.linear[static_cast<int>(Precision::bf16)] = linear_bf16;
  return kernels;
}

}  // namespace

const Kernels kAvx512Bf16Kernels = bf16_table();

}  // namespace l2l
