#include "ops/soft_index_cuda.h"

#include "base/cuda_memory.h"
#include "base/padding.h"
#include "ops/soft_index_device.h"

namespace l2l {
namespace cuda {

template <class T>
struct SoftIndexCall {
  Moments moments;
  DeviceBank<T> banks[2];
  const float *queries[2] = {}, *modality_scores = nullptr;
  float* padded_queries[2] = {};  // [B, stride]
  float *features[2] = {}, *attention[2] = {};
};

template <class T>
__global__ void __launch_bounds__(kMostThreads) soft_index_prepare(SoftIndexCall<T> call) {
  const Moments& moments = call.moments;
  for (int m = 0; m < 2; ++m) {
    store_rows(call.banks[m], moments);
    locate(call.banks[m], moments);
    for (long long i = grid_thread(); i < static_cast<long long>(moments.batch) * moments.stride; i += grid_threads()) {
      const long long video = i / moments.stride, column = i % moments.stride;
      call.padded_queries[m][i] = column < moments.size ? call.queries[m][video * moments.size + column] : 0.0f;
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kMostThreads) soft_index_score(SoftIndexCall<T> call) {
  for (int m = 0; m < 2; ++m) {
    const DeviceBank<T>& bank = call.banks[m];
    score(bank.rows, call.moments.stride, call.padded_queries[m], call.moments.stride, nullptr, call.moments.batch,
          bank.knots, bank.scores);
  }
}

template <class T>
__global__ void __launch_bounds__(kMostThreads) soft_index_attend(SoftIndexCall<T> call) {
  const Moments& moments = call.moments;
  for (int video = static_cast<int>(blockIdx.x); video < moments.batch; video += static_cast<int>(gridDim.x)) {
    const float* scores = call.modality_scores + 2LL * video;
    const float scale = scale_of(scores);
    Attending to;
    for (int m = 0; m < 2; ++m) {
      to.share[m] = scores[m] / scale;
      to.spread[m] = call.banks[m].spread + static_cast<long long>(video) * call.banks[m].knots;
      to.attention[m] = call.attention[m] + static_cast<long long>(video) * moments.count;
    }
    attend(call.banks, moments, video, reinterpret_cast<float*>(shared_memory()), to);
  }
}

template <class T>
__global__ void __launch_bounds__(kMostThreads) soft_index_sum(SoftIndexCall<T> call) {
  for (int m = 0; m < 2; ++m) {
    index(call.banks[m], call.moments, call.moments.size, call.features[m], call.moments.size, call.modality_scores);
  }
}

template <class T>
static SoftIndexCall<T> describe(const CudaSoftIndexInput& input, Arena& arena) {
  SoftIndexCall<T> call;
  const std::int64_t batch = input.timestamps.shape[0], moments = input.timestamps.size();
  const std::int64_t size = input.banks[0].rows.shape[2];
  call.moments = {input.timestamps.data, device_lengths(input.lengths), static_cast<int>(batch),
                  static_cast<int>(input.timestamps.shape[1]), static_cast<int>(size), static_cast<int>(padded(size))};
  call.modality_scores = input.modality_scores.data;
  for (int m = 0; m < 2; ++m) {
    DeviceBank<T>& bank = call.banks[m];
    bank = device_bank<T>(input.banks[m]);
    bank.masked = const_cast<unsigned char*>(input.excluded[m].data);  // only the skimmer writes to its own
    call.queries[m] = input.queries[m].data;
    const std::int64_t knots = batch * bank.knots;
    bank.rows = arena.take<T>(knots * call.moments.stride);
    bank.lower = arena.take<int>(moments);
    bank.fraction = arena.take<float>(moments);
    bank.scores = arena.take<float>(knots);
    bank.spread = arena.take<long long>(knots);
    call.padded_queries[m] = arena.take<float>(batch * call.moments.stride);
  }
  return call;
}

template <class T>
static void queue(const CudaSoftIndexInput& input, const SoftIndexOutput& output, void* workspace,
                  const CudaLaunch& size, Stream stream) {
  Arena arena(workspace);
  SoftIndexCall<T> call = describe<T>(input, arena);
  for (int m = 0; m < 2; ++m) {
    call.features[m] = output.features[m].data;
    call.attention[m] = output.attention[m].data;
  }
  for (const auto kernel : {soft_index_prepare<T>, soft_index_score<T>, soft_index_attend<T>, soft_index_sum<T>}) {
    launch(kernel, shape_of(kernel, size, sizeof(float)), stream, call);
  }
}

}  // namespace cuda

std::size_t soft_index_workspace_bytes(Precision precision, const CudaSoftIndexInput& input) {
  cuda::Arena counting(nullptr);
  if (precision == Precision::fp32) {
    cuda::describe<float>(input, counting);
  } else {
    cuda::describe<cuda::Fp16>(input, counting);  // as large as bf16
  }
  return counting.used();
}

void soft_index_cuda(Precision precision, const CudaSoftIndexInput& input, const SoftIndexOutput& output,
                     void* workspace, const CudaLaunch& size, void* stream) {
  const auto queue = precision == Precision::fp32   ? cuda::queue<float>
                     : precision == Precision::bf16 ? cuda::queue<cuda::Bf16>
                                                    : cuda::queue<cuda::Fp16>;
  queue(input, output, workspace, size, static_cast<cuda::Stream>(stream));
}

}  // namespace l2l
