// Threads that walk through one piece of work together, phase by phase.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace l2l {

// How far the members of a team have come. A phase is a number of tasks; members take the next one that
// is free, and none goes on before all are done. What counts is finished tasks, not present members: one
// that the system has put to sleep, or that comes late, holds nobody up, which matters on a busy machine.
class Phases {
 public:
  // Takes a task of phase `phase` and returns true, or returns false when none is left.
  bool take(std::uint32_t phase, std::uint32_t tasks, std::uint32_t& task);
  // Says that a taken task is done; the last one opens the next phase.
  void finish(std::uint32_t phase, std::uint32_t tasks);
  // Waits until `phase` is over. Spins for some microseconds, since phases are that short, then sleeps.
  // What any task of the phase wrote is visible afterwards.
  void wait(std::uint32_t phase);
  // Keeps the exception of a task, for the caller of run(): the first one; of others nothing is left.
  void fail(std::exception_ptr error);
  // Once all phases are over: throws what fail() kept.
  void rethrow() const;

 private:
  std::atomic<std::uint64_t> open_{0};  // the phase in the high half, its next task in the low half
  std::atomic<std::uint32_t> finished_{0};
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
};

// One thread's way through the phases. All members must ask for the same phases in the same order.
class Member {
 public:
  explicit Member(Phases& phases) : phases_(phases) {}

  // One phase: task(0) ... task(count - 1), each done once by some member. A task that throws counts as done:
  // the walk goes on, so that no member waits for another, and run() throws at its end.
  template <class Task>
  void each(std::int64_t count, const Task& task) {
    if (count == 0) return;
    const auto tasks = static_cast<std::uint32_t>(count);
    for (std::uint32_t index; phases_.take(phase_, tasks, index);) {
      try {
        task(static_cast<std::int64_t>(index));
      } catch (...) {
        phases_.fail(std::current_exception());
      }
      phases_.finish(phase_, tasks);
    }
    phases_.wait(phase_++);
  }

 private:
  Phases& phases_;
  std::uint32_t phase_ = 0;
};

// A piece of work. Outside of its tasks walk() may read only what the object owns: a late member still
// walks through the phases that others have finished when the caller has long gone on.
class TeamWork {
 public:
  virtual ~TeamWork() = default;
  virtual void walk(Member& member) = 0;  // must not throw outside of its tasks

 private:
  friend class ThreadPool;
  Phases phases_;
};

// Thread-safe. A caller that finds the pool at work for another walks alone, on its own thread, and so
// does one in a forked child, where the workers are gone: work must come out the same for any team.
class ThreadPool {
 public:
  // `threads` counts the caller. Workers start with the first call that can use them.
  explicit ThreadPool(std::int64_t threads) : threads_(threads) {}
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Returns when all phases of `work` are over; throws what one of its tasks threw.
  void run(const std::shared_ptr<TeamWork>& work);
  std::int64_t threads() const { return threads_; }

 private:
  bool offer(const std::shared_ptr<TeamWork>& work);
  bool forked() const;
  void start_workers();
  void serve();

  const std::int64_t threads_;
  std::atomic<long> owner_process_{0};  // 0 before the workers have been started
  std::atomic<std::uint32_t> offers_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;  // guards what follows
  std::vector<std::thread> workers_;
  std::shared_ptr<TeamWork> offered_;
};

}  // namespace l2l
