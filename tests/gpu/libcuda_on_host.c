// The driver's functions that l2l_engine.gpu.driver calls, on the host. CUDA's own header declares them: a call
// whose arguments are not what it says does not get here in one piece. Work is done at once, but inside a capture,
// where it is written down, by the rules that capturing_on_host.h has. What was called is counted, so that tests
// can ask.
#include <cuda.h>
#include <stdlib.h>
#include <string.h>

#include "capturing_on_host.h"

#define HANDLE(type, number) ((type)(size_t)(number))

#define PRIMARY(device) HANDLE(CUcontext, 0x77 + (device))

static _Thread_local CUcontext current;

int fail_with;         // this status, from the next call that may fail on
int device_count = 1;  // numbered from 0; the driver's handles of them are others
int last_priority;     // of the newest stream
size_t most_bytes = ~(size_t)0;
long allocated, pinned, streams, events, graphs, without_context;

static CUresult enter(void) {
  if (current < PRIMARY(0) || current >= PRIMARY(device_count)) ++without_context;
  return (CUresult)fail_with;
}

// A stream is of the context that it was made in.
static CUresult enter_on(CUstream stream) {
  return stream->context == current ? enter() : CUDA_ERROR_INVALID_HANDLE;
}

// A call that no stream orders.
static CUresult enter_unordered(void) {
  const CUresult status = enter();
  return status == CUDA_SUCCESS ? capture_unordered() : status;
}

static CUresult move(void* to, const void* from, size_t bytes, CUstream stream) {
  CUresult status = enter_on(stream);
  if (status != CUDA_SUCCESS) return status;
  const struct Copy copy = {to, from, bytes};
  int captured = 0;
  status = capture_add(stream, &copy, &captured);
  if (status == CUDA_SUCCESS && !captured) memcpy(to, from, bytes);
  return status;
}

CUresult cuInit(unsigned int flags) { return flags == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; }
CUresult cuDriverGetVersion(int* version) { return *version = 13000, CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int* count) { return *count = device_count, CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  return ordinal < device_count ? (*device = 5 + ordinal, CUDA_SUCCESS) : CUDA_ERROR_INVALID_DEVICE;
}
CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  const char* names[] = {"Pretended GPU", "Second GPU"};
  return strncpy(name, device == 5 || device == 6 ? names[device - 5] : "wrong", (size_t)length), CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  (void)device;
  *value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? 9 : 0;
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  if (device < 5 || device >= 5 + device_count) return CUDA_ERROR_INVALID_DEVICE;
  return *context = PRIMARY(device - 5), CUDA_SUCCESS;
}
CUresult cuCtxGetCurrent(CUcontext* context) { return *context = current, CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(CUcontext context) { return current = context, CUDA_SUCCESS; }
// Not called by the driver's side here, but by whoever else is in the process.
CUresult cuCtxSynchronize(void) { LOCKED; return capture_await_context(); }

CUresult cuMemAlloc(CUdeviceptr* pointer, size_t bytes) {
  LOCKED;
  const CUresult status = enter_unordered();
  if (status != CUDA_SUCCESS) return status;
  if (bytes > most_bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  ++allocated;
  return *pointer = (CUdeviceptr)(size_t)malloc(bytes), CUDA_SUCCESS;
}
CUresult cuMemFree(CUdeviceptr pointer) {
  LOCKED;
  const CUresult status = capture_unordered();
  if (status != CUDA_SUCCESS) return status;
  return --allocated, free((void*)(size_t)pointer), enter();
}
CUresult cuMemHostAlloc(void** pointer, size_t bytes, unsigned int flags) {
  LOCKED;
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  const CUresult status = enter_unordered();
  if (status != CUDA_SUCCESS) return status;
  if (bytes > most_bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  ++pinned;
  return *pointer = malloc(bytes), CUDA_SUCCESS;
}
CUresult cuMemFreeHost(void* pointer) {
  LOCKED;
  const CUresult status = capture_unordered();
  if (status != CUDA_SUCCESS) return status;
  return --pinned, free(pointer), enter();
}

// Lower numbers go first.
CUresult cuCtxGetStreamPriorityRange(int* least, int* most) {
  LOCKED;
  return *least = 0, *most = -5, enter();
}
CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned int flags, int priority) {
  LOCKED;
  if (flags != CU_STREAM_NON_BLOCKING || priority < -5 || priority > 0) return CUDA_ERROR_INVALID_VALUE;
  last_priority = priority;
  const CUresult status = enter_unordered();
  if (status != CUDA_SUCCESS) return status;
  ++streams;
  *stream = calloc(1, sizeof **stream);
  return (*stream)->context = current, CUDA_SUCCESS;
}
CUresult cuStreamQuery(CUstream stream) {
  LOCKED;
  const CUresult status = enter_on(stream);
  return status == CUDA_SUCCESS ? CUDA_ERROR_NOT_READY : status;
}
CUresult cuStreamDestroy(CUstream stream) {
  LOCKED;
  const CUresult status = capture_end_stream(stream);
  if (status != CUDA_SUCCESS) return status;
  return --streams, free(stream), enter();
}
CUresult cuEventCreate(CUevent* event, unsigned int flags) {
  LOCKED;
  if (flags != CU_EVENT_DISABLE_TIMING) return CUDA_ERROR_INVALID_VALUE;
  ++events;
  return *event = calloc(1, sizeof **event), enter();
}
CUresult cuEventDestroy(CUevent event) {
  LOCKED;
  return --events, free(event), enter();
}
CUresult cuEventRecord(CUevent event, CUstream stream) {
  LOCKED;
  if (!event || !stream) return CUDA_ERROR_INVALID_HANDLE;
  const CUresult status = enter_on(stream);
  return status == CUDA_SUCCESS ? capture_record(event, stream) : status;
}
CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags) {
  LOCKED;
  if (!event || !stream || flags != 0) return CUDA_ERROR_INVALID_HANDLE;
  const CUresult status = enter();
  return status == CUDA_SUCCESS ? capture_wait(stream, event) : status;
}
CUresult cuEventSynchronize(CUevent event) {
  LOCKED;
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  const CUresult status = enter();
  return status == CUDA_SUCCESS ? capture_await_event(event) : status;
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  LOCKED;
  return move((void*)(size_t)to, from, bytes, stream);
}
CUresult cuMemcpyDtoHAsync(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  LOCKED;
  return move(to, (const void*)(size_t)from, bytes, stream);
}
CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  LOCKED;
  return move((void*)(size_t)to, (const void*)(size_t)from, bytes, stream);
}

CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) {
  LOCKED;
  const CUresult status = enter();
  return status == CUDA_SUCCESS ? capture_begin(stream, mode) : status;
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  LOCKED;
  const CUresult status = capture_end(stream, graph);
  if (*graph != NULL) ++graphs;
  return status;
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec* made, CUgraph graph, unsigned long long flags) {
  LOCKED;
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  struct CUgraph_st* copy = malloc(sizeof *copy);
  *copy = *graph;
  ++graphs;
  return *made = (CUgraphExec)copy, enter();
}
CUresult cuGraphDestroy(CUgraph graph) {
  LOCKED;
  return --graphs, free(graph), CUDA_SUCCESS;
}
CUresult cuGraphLaunch(CUgraphExec graph, CUstream stream) {
  LOCKED;
  const struct CUgraph_st* all = (const struct CUgraph_st*)graph;
  for (int i = 0; i < all->count; ++i) {
    const CUresult status = move(all->copies[i].to, all->copies[i].from, all->copies[i].bytes, stream);
    if (status != CUDA_SUCCESS) return status;
  }
  return enter();
}
CUresult cuGraphExecDestroy(CUgraphExec graph) {
  LOCKED;
  const CUresult status = capture_unordered();
  if (status != CUDA_SUCCESS) return status;
  return --graphs, free((void*)graph), enter();
}

CUresult cuGetErrorString(CUresult error, const char** text) {
  return *text = error == CUDA_ERROR_ILLEGAL_ADDRESS ? "an illegal memory access" : NULL, CUDA_SUCCESS;
}
