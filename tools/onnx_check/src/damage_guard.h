// One clear line instead of a core dump when the pages of a memory-mapped database turn out to be damaged.
#pragma once

namespace onnx_check {

/// While one lives, a SIGSEGV or SIGBUS on its thread means that following the database's own pointers led
/// outside the file: the program says so and exits with 1. LMDB checks few of them, and a failing disk raises SIGBUS.
/// Everywhere else these signals keep their meaning.
class DamageGuard {
 public:
  /// `line` is printed with one write(2); it must end in a newline and outlive the guard.
  explicit DamageGuard(const char* line);
  ~DamageGuard();
  DamageGuard(const DamageGuard&) = delete;
  DamageGuard& operator=(const DamageGuard&) = delete;
};

/// Prints the living guard's line and exits with 1: what LMDB calls when one of its own checks fails.
[[noreturn]] void report_damage();

}  // namespace onnx_check
