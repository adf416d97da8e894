// The driver's functions that l2l_engine.gpu.driver calls, on the host. CUDA's own header declares them: a call
// whose arguments are not what it says does not get here in one piece. Work is done at once, but inside a capture,
// where it is written down. What was called is counted, so that tests can ask.
#include <cuda.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define HANDLE(type, number) ((type)(size_t)(number))
enum { kCopies = 64 };

struct Copy {
  void* to;
  const void* from;
  size_t bytes;
};
struct CUgraph_st {
  int count;
  struct Copy copies[kCopies];
};

static int capturing;
static CUstream captured;
static struct CUgraph_st* graph_made;
static _Thread_local CUcontext current;

int fail_with;         // this status, from the next call that may fail on
size_t most_bytes = ~(size_t)0;
long allocated, pinned, streams, events, graphs, without_context;

static CUresult enter(void) {
  if (current != HANDLE(CUcontext, 0x77)) ++without_context;
  return (CUresult)fail_with;
}

static CUresult move(void* to, const void* from, size_t bytes, CUstream stream) {
  const CUresult status = enter();
  if (status != CUDA_SUCCESS) return status;
  if (capturing && stream == captured) {
    graph_made->copies[graph_made->count++] = (struct Copy){to, from, bytes};
  } else {
    memcpy(to, from, bytes);
  }
  return CUDA_SUCCESS;
}

CUresult cuInit(unsigned int flags) { return flags == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; }
CUresult cuDriverGetVersion(int* version) { return *version = 13000, CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int* count) { return *count = 1, CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice* device, int ordinal) { return *device = 5 + ordinal, CUDA_SUCCESS; }
CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  return strncpy(name, device == 5 ? "Pretended GPU" : "wrong", (size_t)length), CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  (void)device;
  *value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? 9 : 0;
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  if (device != 5) return CUDA_ERROR_INVALID_DEVICE;
  return *context = HANDLE(CUcontext, 0x77), CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext context) { return current = context, CUDA_SUCCESS; }

CUresult cuMemAlloc(CUdeviceptr* pointer, size_t bytes) {
  const CUresult status = enter();
  if (status != CUDA_SUCCESS) return status;
  if (bytes > most_bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  ++allocated;
  return *pointer = (CUdeviceptr)(size_t)malloc(bytes), CUDA_SUCCESS;
}
CUresult cuMemFree(CUdeviceptr pointer) { return --allocated, free((void*)(size_t)pointer), enter(); }
CUresult cuMemHostAlloc(void** pointer, size_t bytes, unsigned int flags) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (bytes > most_bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  ++pinned;
  return *pointer = malloc(bytes), enter();
}
CUresult cuMemFreeHost(void* pointer) { return --pinned, free(pointer), enter(); }

CUresult cuStreamCreate(CUstream* stream, unsigned int flags) {
  if (flags != CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
  return *stream = HANDLE(CUstream, 0x7fff00001000 + streams++), enter();
}
CUresult cuStreamDestroy(CUstream stream) { return (void)stream, --streams, enter(); }
CUresult cuEventCreate(CUevent* event, unsigned int flags) {
  if (flags != CU_EVENT_DISABLE_TIMING) return CUDA_ERROR_INVALID_VALUE;
  return *event = HANDLE(CUevent, 0x7fff00002000 + events++), enter();
}
CUresult cuEventDestroy(CUevent event) { return (void)event, --events, enter(); }
CUresult cuEventRecord(CUevent event, CUstream stream) {
  return event && stream ? enter() : CUDA_ERROR_INVALID_HANDLE;
}
CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags) {
  return event && stream && flags == 0 ? enter() : CUDA_ERROR_INVALID_HANDLE;
}
CUresult cuEventSynchronize(CUevent event) { return event ? enter() : CUDA_ERROR_INVALID_HANDLE; }

CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  return move((void*)(size_t)to, from, bytes, stream);
}
CUresult cuMemcpyDtoHAsync(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return move(to, (const void*)(size_t)from, bytes, stream);
}
CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return move((void*)(size_t)to, (const void*)(size_t)from, bytes, stream);
}

CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) {
  if (mode != CU_STREAM_CAPTURE_MODE_THREAD_LOCAL || capturing) return CUDA_ERROR_INVALID_VALUE;
  capturing = 1, captured = stream;
  graph_made = calloc(1, sizeof *graph_made);
  ++graphs;
  return enter();
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  if (!capturing || stream != captured) return CUDA_ERROR_INVALID_VALUE;
  capturing = 0;
  return *graph = graph_made, CUDA_SUCCESS;
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec* made, CUgraph graph, unsigned long long flags) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  struct CUgraph_st* copy = malloc(sizeof *copy);
  *copy = *graph;
  ++graphs;
  return *made = (CUgraphExec)copy, enter();
}
CUresult cuGraphDestroy(CUgraph graph) { return --graphs, free(graph), CUDA_SUCCESS; }
CUresult cuGraphLaunch(CUgraphExec graph, CUstream stream) {
  const struct CUgraph_st* all = (const struct CUgraph_st*)graph;
  for (int i = 0; i < all->count; ++i) move(all->copies[i].to, all->copies[i].from, all->copies[i].bytes, stream);
  return enter();
}
CUresult cuGraphExecDestroy(CUgraphExec graph) { return --graphs, free((void*)graph), enter(); }

CUresult cuGetErrorString(CUresult error, const char** text) {
  return *text = error == CUDA_ERROR_ILLEGAL_ADDRESS ? "an illegal memory access" : NULL, CUDA_SUCCESS;
}
