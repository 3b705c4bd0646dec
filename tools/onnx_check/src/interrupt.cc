#include "interrupt.h"

#include <csignal>

#include "error.h"

namespace onnx_check {
namespace {

volatile std::sig_atomic_t caught = 0;

void remember(int number) { caught = number; }

}  // namespace

void catch_interrupts() {
  for (const int number : {SIGINT, SIGTERM}) {
    struct sigaction action = {};
    action.sa_handler = remember;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, nullptr);
  }
}

void check_interrupts() {
  if (caught != 0) throw Interrupted(caught);
}

}  // namespace onnx_check
