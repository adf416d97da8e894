#include "skim/cuda_pairing.h"

#include "base/cuda_memory.h"
#include "ops/interpolate_device.h"
#include "ops/linear_device.h"
#include "skim/cuda_model.h"

namespace l2l {
namespace cuda {

// One modality's way through its Psi.
struct PairSide {
  const float *own = nullptr, *other = nullptr;  // features [B, knots, D] and [B, others, D]; no other: zeros
  const double *times = nullptr, *other_times = nullptr;
  int knots = 0, others = 0;
  int part = 0;  // of Psi's input that is its own: 0 for images, 1 for sound
  float *both = nullptr, *hidden = nullptr, *out = nullptr;
};

// Psi's inputs: a warp a row, its own part as it is and the other modality's between two knots, padded with zeros.
__global__ void __launch_bounds__(kMostThreads) pair_kernel(PairSide side, long long rows, int size, int width) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (long long row = grid_thread() / kWarp; row < rows; row += grid_threads() / kWarp) {
    float* own = side.both + (2 * row + side.part) * width;
    float* other = side.both + (2 * row + 1 - side.part) * width;
    const float *low = nullptr, *high = nullptr;
    float fraction = 0.0f;
    if (side.other != nullptr) {
      const double* times = side.other_times + row / side.knots * side.others;
      const int after = first_after(times, side.others, side.times[row]);
      fraction = fraction_at(times, side.others, after, side.times[row]);
      low = side.other + (row / side.knots * side.others + (after > 0 ? after - 1 : 0)) * size;
      high = fraction == 0.0f ? low : low + size;
    }
    for (int i = lane; i < width; i += kWarp) {
      own[i] = i < size ? side.own[row * size + i] : 0.0f;
      other[i] = i < size && low != nullptr ? low[i] + fraction * (high[i] - low[i]) : 0.0f;
    }
  }
}

// y = layer x for many rows, a warp an output of kTogether rows; columns from the layer's last up to `filled` get 0.
// With `added` y = layer x + added, else y = ReLU(layer x).
template <class T>
__global__ void __launch_bounds__(kMostThreads) rows_kernel(Layer<T> layer, const float* x, long long rows,
                                                            const float* added, float* y, int filled) {
  const long long groups = (rows + kTogether - 1) / kTogether;
  for (long long i = grid_thread() / kWarp; i < groups * filled; i += grid_threads() / kWarp) {
    const int out = static_cast<int>(i % filled);
    const long long first = i / filled * kTogether;
    const int together = rows - first < kTogether ? static_cast<int>(rows - first) : kTogether;
    float sums[kTogether] = {};
    if (out < layer.out) {
      add_dots(layer.weight + static_cast<long long>(out) * layer.stride, x + first * layer.in, layer.in, together,
               layer.in, sums);
    }
    for (int j = 0; j < together; ++j) {
      const float sum = warp_sum(sums[j]) + (out < layer.out ? layer.bias[out] : 0.0f);
      const long long at = (first + j) * filled + out;
      if (threadIdx.x % kWarp == 0) y[at] = added != nullptr ? sum + added[at] : fmaxf(sum, 0.0f);
    }
  }
}

}  // namespace cuda

class CudaPairing::Model {
 public:
  virtual ~Model() = default;
  virtual std::size_t workspace_bytes(const CudaPairingInput& input) const = 0;
  virtual void run(const CudaPairingInput& input, float* const out[2], void* workspace, const CudaLaunch& size,
                   void* stream) const = 0;
};

template <class T>
class CudaPairing::TypedModel final : public CudaPairing::Model {
 public:
  explicit TypedModel(const PairingWeights& weights) : size_(static_cast<int>(weights.feature)) {
    const PairWeights* pairs[] = {&weights.image, &weights.audio};
    for (int m = 0; m < 2; ++m) {
      first_[m] = placing_.single(pairs[m]->first, pairs[m]->first.out, weights.feature);
      second_[m] = placing_.single(pairs[m]->second, weights.feature, pairs[m]->second.in);
    }
  }

  std::size_t workspace_bytes(const CudaPairingInput& input) const override {
    cuda::PairSide sides[2];
    cuda::Arena counting(nullptr);
    lay_out(input, sides, counting);
    return counting.used();
  }

  void run(const CudaPairingInput& input, float* const out[2], void* workspace, const CudaLaunch& size,
           void* stream) const override {
    cuda::PairSide sides[2];
    cuda::Arena arena(workspace);
    lay_out(input, sides, arena);
    const cuda::Shape shape = cuda::shape_of(size, 0);
    const auto queue = static_cast<cuda::Stream>(stream);
    for (int m = 0; m < 2; ++m) {
      const long long rows = static_cast<long long>(input.batch) * sides[m].knots;
      if (rows == 0) continue;
      cuda::launch(cuda::pair_kernel, shape, queue, sides[m], rows, size_, static_cast<int>(padded(size_)));
      const float *both = sides[m].both, *hidden = sides[m].hidden, *own = sides[m].own, *none = nullptr;
      cuda::launch(cuda::rows_kernel<T>, shape, queue, first_[m], both, rows, none, sides[m].hidden, second_[m].in);
      cuda::launch(cuda::rows_kernel<T>, shape, queue, second_[m], hidden, rows, own, out[m], size_);
    }
  }

 private:
  void lay_out(const CudaPairingInput& input, cuda::PairSide (&sides)[2], cuda::Arena& arena) const {
    for (int m = 0; m < 2; ++m) {
      const CudaPairingInput::Side &own = input.sides[m], &other = input.sides[1 - m];
      if (own.rows == nullptr) continue;
      cuda::PairSide& side = sides[m];
      side.own = own.rows;
      side.times = own.times;
      side.knots = static_cast<int>(own.knots);
      side.other = other.rows;
      side.other_times = other.times;
      side.others = static_cast<int>(other.knots);
      side.part = m;
      const std::int64_t rows = input.batch * own.knots;
      side.both = arena.take<float>(rows * first_[m].in);
      side.hidden = arena.take<float>(rows * second_[m].in);
    }
  }

  const int size_;
  cuda::Placing<T> placing_;
  cuda::Layer<T> first_[2], second_[2];
};

CudaPairing::CudaPairing(const TensorMap& tensors, Precision precision)
    : CudaPairing(load_pairing(tensors, precision), precision) {}

CudaPairing::CudaPairing(const PairingWeights& weights, Precision precision) : feature_(weights.feature) {
  switch (precision) {
    case Precision::fp32: model_ = std::make_unique<TypedModel<float>>(weights); break;
    case Precision::bf16: model_ = std::make_unique<TypedModel<cuda::Bf16>>(weights); break;
    case Precision::fp16: model_ = std::make_unique<TypedModel<cuda::Fp16>>(weights); break;
  }
}

CudaPairing::~CudaPairing() = default;

std::size_t CudaPairing::workspace_bytes(const CudaPairingInput& input) const { return model_->workspace_bytes(input); }

void CudaPairing::run(const CudaPairingInput& input, float* const out[2], void* workspace, const CudaLaunch& size,
                      void* stream) const {
  model_->run(input, out, workspace, size, stream);
}

}  // namespace l2l
