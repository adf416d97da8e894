// CUDA's rules of stream capture for the driver's twin. They are set out, with their sources, in capturing.py, which
// says the same in Python; a test compares the two. For one thread at a time: whoever calls holds the lock.
#pragma once

#include <cuda.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum { kCopies = 64, kNodes = 64, kMembers = 8 };

struct Copy {
  void* to;
  const void* from;
  size_t bytes;
};
struct CUgraph_st {
  int count;
  struct Copy copies[kCopies];
};

// Never freed: events may speak of it long after it is over.
struct Capture {
  struct Capture* next;
  CUstream origin;
  CUstream members[kMembers];
  int member_count;
  CUstreamCaptureMode mode;
  pthread_t thread;
  int broken, over;
  int nodes;
  uint64_t before[kNodes];  // of each node: those that it comes after, and itself, as bits
  struct CUgraph_st* graph;
};
struct CUstream_st {
  CUcontext context;
  struct Capture* capture;  // null, or the one it belongs to
  int head;                 // its last node there
};
struct CUevent_st {
  struct Capture* capture;  // null, or the one it was recorded in last
  int node;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct Capture* captures;

static void unlock(int* held) { (void)held, pthread_mutex_unlock(&lock); }
#define LOCKED \
  __attribute__((cleanup(unlock), unused)) int held = pthread_mutex_lock(&lock)

static CUresult refuse(CUresult status, struct Capture* one, struct Capture* other) {
  if (one != NULL) one->broken = 1;
  if (other != NULL) other->broken = 1;
  return status;
}

static void add_node(struct Capture* capture, CUstream stream, int after, int also) {
  if (capture->nodes == kNodes) abort();
  stream->head = capture->nodes;
  capture->before[capture->nodes] =
      UINT64_C(1) << capture->nodes | capture->before[after] | capture->before[also];
  ++capture->nodes;
  if (stream->capture == capture) return;
  if (capture->member_count == kMembers) abort();
  capture->members[capture->member_count++] = stream;
  stream->capture = capture;
}

static CUresult capture_begin(CUstream stream, CUstreamCaptureMode mode) {
  if (stream == NULL) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture != NULL) return refuse(CUDA_ERROR_ILLEGAL_STATE, stream->capture, NULL);
  struct Capture* made = calloc(1, sizeof *made);
  made->next = captures, captures = made;
  made->origin = stream, made->mode = mode, made->thread = pthread_self();
  made->graph = calloc(1, sizeof *made->graph);
  made->before[0] = 1, made->nodes = 1;
  made->members[made->member_count++] = stream;
  stream->capture = made, stream->head = 0;
  return CUDA_SUCCESS;
}

static CUresult capture_end(CUstream stream, CUgraph* graph) {
  struct Capture* found = stream->capture;
  *graph = NULL;
  if (found == NULL) return CUDA_ERROR_ILLEGAL_STATE;
  if (found->mode != CU_STREAM_CAPTURE_MODE_RELAXED && !pthread_equal(found->thread, pthread_self())) {
    return refuse(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, found, NULL);
  }
  if (found->origin != stream) return refuse(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, found, NULL);
  found->over = 1;
  CUresult status = found->broken ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS;
  for (int i = 0; i < found->member_count; ++i) {
    CUstream member = found->members[i];
    const int joined = (int)(found->before[stream->head] >> member->head & 1);
    if (status == CUDA_SUCCESS && !joined) status = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    member->capture = NULL;
  }
  if (status == CUDA_SUCCESS) {
    *graph = found->graph;
  } else {
    free(found->graph);
  }
  return status;
}

static CUresult capture_add(CUstream stream, const struct Copy* copy, int* captured) {
  struct Capture* found = stream->capture;
  if (found == NULL) return *captured = 0, CUDA_SUCCESS;
  if (found->broken) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (found->graph->count == kCopies) abort();
  found->graph->copies[found->graph->count++] = *copy;
  add_node(found, stream, stream->head, stream->head);
  return *captured = 1, CUDA_SUCCESS;
}

static CUresult capture_record(CUevent event, CUstream stream) {
  if (stream->capture != NULL && stream->capture->broken) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  event->capture = stream->capture;
  event->node = stream->head;
  return CUDA_SUCCESS;
}

static CUresult capture_wait(CUstream stream, CUevent event) {
  struct Capture *ours = stream->capture, *theirs = event->capture;
  if (ours != NULL && ours->broken) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (theirs == NULL) {
    return ours == NULL ? CUDA_SUCCESS : refuse(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, ours, NULL);
  }
  if (theirs->over) return refuse(CUDA_ERROR_CAPTURED_EVENT, ours, NULL);
  if (theirs->broken) return refuse(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, ours, NULL);
  if (ours != NULL && ours != theirs) return refuse(CUDA_ERROR_STREAM_CAPTURE_MERGE, ours, theirs);
  add_node(theirs, stream, ours == NULL ? event->node : stream->head, event->node);
  return CUDA_SUCCESS;
}

static CUresult capture_unordered(void) {
  CUresult status = CUDA_SUCCESS;
  for (struct Capture* each = captures; each != NULL; each = each->next) {
    const int here = each->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL && pthread_equal(each->thread, pthread_self());
    if (each->over || !(here || each->mode == CU_STREAM_CAPTURE_MODE_GLOBAL)) continue;
    status = refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, each, NULL);
  }
  return status;
}

static CUresult capture_await_event(CUevent event) {
  if (event->capture != NULL) return refuse(CUDA_ERROR_CAPTURED_EVENT, event->capture, NULL);
  return capture_unordered();
}

static CUresult capture_await_context(void) {
  CUresult status = CUDA_SUCCESS;
  for (struct Capture* each = captures; each != NULL; each = each->next) {
    if (!each->over) status = refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, each, NULL);
  }
  return status;
}

static CUresult capture_end_stream(CUstream stream) {
  if (stream->capture != NULL) return refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, stream->capture, NULL);
  return capture_unordered();
}
