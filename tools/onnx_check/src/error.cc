#include "error.h"

#include <cerrno>
#include <cstring>

namespace onnx_check {

Interrupted::Interrupted(int signal_number) : Error("interrupted"), exit_code(128 + signal_number) {}

std::string with_errno(const std::string& message) { return message + ": " + std::strerror(errno); }

}  // namespace onnx_check
