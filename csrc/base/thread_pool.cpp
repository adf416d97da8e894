#include "base/thread_pool.h"

#include <unistd.h>

#include <new>
#include <system_error>
#include <utility>

namespace l2l {
namespace {

constexpr int kSpins = 1000;

std::uint32_t phase_of(std::uint64_t open) { return static_cast<std::uint32_t>(open >> 32); }
std::uint32_t task_of(std::uint64_t open) { return static_cast<std::uint32_t>(open); }

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

bool Phases::take(std::uint32_t phase, std::uint32_t tasks, std::uint32_t& task) {
  std::uint64_t open = open_.load(std::memory_order_acquire);
  while (phase_of(open) == phase && task_of(open) < tasks) {
    if (open_.compare_exchange_weak(open, open + 1, std::memory_order_acquire)) {
      task = task_of(open);
      return true;
    }
  }
  return false;
}

void Phases::finish(std::uint32_t phase, std::uint32_t tasks) {
  if (finished_.fetch_add(1, std::memory_order_acq_rel) + 1 < tasks) return;
  finished_.store(0, std::memory_order_relaxed);
  open_.store(std::uint64_t{phase + 1} << 32, std::memory_order_release);
  open_.notify_all();
}

void Phases::wait(std::uint32_t phase) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (phase_of(open_.load(std::memory_order_acquire)) != phase) return;
    relax();
  }
  for (;;) {
    const std::uint64_t open = open_.load(std::memory_order_acquire);
    if (phase_of(open) != phase) return;
    open_.wait(open, std::memory_order_acquire);
  }
}

void Phases::fail(std::exception_ptr error) {
  if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::move(error);
}

void Phases::rethrow() const {
  if (failed_.load(std::memory_order_relaxed)) std::rethrow_exception(error_);
}

bool ThreadPool::forked() const {
  const long owner = owner_process_.load(std::memory_order_relaxed);
  return owner != 0 && owner != static_cast<long>(getpid());
}

ThreadPool::~ThreadPool() {
  const bool orphaned = forked();
  stopping_.store(true, std::memory_order_release);
  offers_.fetch_add(1, std::memory_order_release);
  offers_.notify_all();
  for (std::thread& worker : workers_) {
    if (orphaned) {
      worker.detach();  // it exists in the parent only
    } else {
      worker.join();
    }
  }
}

void ThreadPool::start_workers() {
  owner_process_.store(static_cast<long>(getpid()), std::memory_order_relaxed);
  try {
    workers_.reserve(static_cast<std::size_t>(threads_ - 1));
    while (static_cast<std::int64_t>(workers_.size()) + 1 < threads_) workers_.emplace_back([this] { serve(); });
  } catch (const std::system_error&) {
    // The system has no more threads to give: a smaller team does the same work.
  } catch (const std::bad_alloc&) {
    // Nor memory for them.
  }
}

void ThreadPool::serve() {
  while (!stopping_.load(std::memory_order_acquire)) {
    const std::uint32_t offers = offers_.load(std::memory_order_acquire);
    std::shared_ptr<TeamWork> work;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      work = offered_;
    }
    if (work != nullptr) {
      Member member(work->phases_);
      work->walk(member);
      work.reset();
    }
    offers_.wait(offers, std::memory_order_acquire);
  }
}

// Puts the work where the workers look for it; false if they are at another, or cannot be had.
bool ThreadPool::offer(const std::shared_ptr<TeamWork>& work) {
  if (threads_ == 1 || forked()) return false;
  const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || offered_ != nullptr) return false;
  if (workers_.empty()) start_workers();
  offered_ = work;
  offers_.fetch_add(1, std::memory_order_release);
  offers_.notify_all();
  return true;
}

void ThreadPool::run(const std::shared_ptr<TeamWork>& work) {
  const bool offered = offer(work);
  Member member(work->phases_);
  work->walk(member);
  if (offered) {
    const std::lock_guard<std::mutex> lock(mutex_);
    offered_.reset();
  }
  work->phases_.rethrow();
}

}  // namespace l2l
