// A test is a function; CHECK says what failed and goes on.
#pragma once

#include <cstdio>
#include <vector>

namespace l2l::test {

struct Test {
  const char* name;
  void (*run)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}
inline int& failures() {
  static int count = 0;
  return count;
}
struct Registration {
  Registration(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

}  // namespace l2l::test

#define TEST(name)                                                  \
  static void name();                                               \
  static const l2l::test::Registration register_##name{#name, name}; \
  static void name()

#define CHECK(condition)                                                            \
  do {                                                                              \
    if (!(condition)) {                                                             \
      std::printf("%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition);     \
      ++l2l::test::failures();                                                      \
    }                                                                               \
  } while (false)
