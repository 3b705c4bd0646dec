// The two kinds of failure. Every message is one line; main() prints it after "onnx_check: ".
#pragma once

#include <stdexcept>
#include <string>

namespace onnx_check {

/// Bad input: a file, a record or a model that is not what it should be. Exit code 1.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A command line that makes no sense. Exit code 2.
struct UsageError : Error {
  using Error::Error;
};

/// Ctrl-C or a polite kill. Exit code 128 + the signal's number, as a shell reports it.
struct Interrupted : Error {
  explicit Interrupted(int signal_number);
  int exit_code;
};

/// `message` followed by the reason that errno gives.
std::string with_errno(const std::string& message);

}  // namespace onnx_check
