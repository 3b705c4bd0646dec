// The command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "decode.h"
#include "session.h"

namespace onnx_check {

/// --raw [NAME=]FILE[:SHAPE]
struct RawInput {
  std::string name;  // empty: the model's only input
  std::string file;
  std::vector<int64_t> shape;  // empty: the model's own, the batch given by the file's size
};

/// --dump [NAME=]FILE
struct Dump {
  std::string name;  // empty: the output that is judged
  std::string file;
};

struct Args {
  std::string model;
  std::string db;
  std::vector<RawInput> raw;
  std::vector<Dump> dumps;
  std::string input;
  std::string output;
  std::string mean;
  std::vector<float> mean_values;
  std::optional<int> crop;
  std::optional<float> scale;
  Color color = Color::kNative;
  bool ignore_metadata = false;
  int batch = 64;
  int threads = 0;
  int limit = 0;
  Provider provider = Provider::kCpu;
  bool help = false;
  bool version = false;
};

/// Throws UsageError, naming the option and the value.
Args parse_args(int argc, const char* const* argv);

/// What --help prints.
const char* usage();

}  // namespace onnx_check
