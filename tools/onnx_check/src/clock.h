// Seconds between two readings of a steady clock.
#pragma once

#include <chrono>

namespace onnx_check {

class Stopwatch {
 public:
  /// Seconds since construction or the last call.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace onnx_check
