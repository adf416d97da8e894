#include <atomic>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "base/thread_pool.h"
#include "check.h"

namespace {

// Each phase reads what the phase before wrote.
struct Doubling final : l2l::TeamWork {
  static constexpr std::int64_t kTasks = 37, kPhases = 50;
  std::vector<std::int64_t> values = std::vector<std::int64_t>(kTasks, 1), next = values;
  std::atomic<int> done{0};

  void walk(l2l::Member& member) override {
    for (std::int64_t phase = 0; phase < kPhases; ++phase) {
      member.each(kTasks, [&](std::int64_t i) {
        const std::int64_t other = (i * 5 + 1) % kTasks;
        const auto& from = phase % 2 == 0 ? values : next;
        auto& to = phase % 2 == 0 ? next : values;
        const auto at = static_cast<std::size_t>(i);
        to[at] = (from[at] + from[static_cast<std::size_t>(other)]) % 1009;
        done.fetch_add(1, std::memory_order_relaxed);
      });
      member.each(0, [](std::int64_t) {});
    }
  }
};

std::vector<std::int64_t> run_on(l2l::ThreadPool& pool) {
  const auto work = std::make_shared<Doubling>();
  pool.run(work);
  CHECK(work->done == Doubling::kTasks * Doubling::kPhases);
  return work->values;
}

}  // namespace

TEST(every_task_runs_once_and_phases_are_ordered) {
  l2l::ThreadPool alone(1), four(4);
  const auto wanted = run_on(alone);
  for (int i = 0; i < 20; ++i) CHECK(run_on(four) == wanted);
}

TEST(callers_at_once_share_or_go_alone) {
  l2l::ThreadPool alone(1), pool(3);
  const auto wanted = run_on(alone);
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int i = 0; i < 20; ++i) wrong += run_on(pool) != wanted;
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST(the_first_exception_of_a_task_reaches_the_caller_after_all_phases) {
  struct Failing final : l2l::TeamWork {
    std::atomic<int> done{0};
    void walk(l2l::Member& member) override {
      for (int phase = 0; phase < 3; ++phase) {
        member.each(20, [&](std::int64_t i) {
          done.fetch_add(1, std::memory_order_relaxed);
          if (i % 7 == 0) throw std::bad_alloc();
        });
      }
    }
  };
  l2l::ThreadPool alone(1), four(4);
  for (l2l::ThreadPool* pool : {&alone, &four, &four}) {
    const auto work = std::make_shared<Failing>();
    bool thrown = false;
    try {
      pool->run(work);
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    CHECK(thrown);
    CHECK(work->done == 60);
  }
  run_on(four);  // and goes on working
}

TEST(a_pool_ends_while_its_workers_sleep_or_never_began) {
  for (int i = 0; i < 10; ++i) {
    l2l::ThreadPool unused(4), used(4);
    run_on(used);
  }
  CHECK(true);
}
