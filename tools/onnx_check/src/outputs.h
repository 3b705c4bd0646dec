// The outputs that a run asks for, and the files that some of them go to.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "args.h"
#include "dump.h"
#include "json.h"
#include "session.h"

namespace onnx_check {

class Outputs {
 public:
  /// Every --dump's output, and `judged` (may be empty). A dump without a name is of `judged`, or of the output that
  /// the session finds for no name. Opens the files.
  Outputs(const Args& args, const Session& session, const std::string& judged);

  /// What to ask the session for; the judged one comes first.
  const std::vector<std::string>& names() const { return names_; }

  /// Appends the first `rows` rows of what the session gave for names().
  void write(const std::vector<OutputTensor>& tensors, size_t rows);

  /// Puts the files in their places, and tells their shapes.
  JsonObject commit();

 private:
  struct Sink {
    size_t index;  // into names_
    std::unique_ptr<DumpFile> file;
    std::vector<int64_t> shape;
  };

  std::vector<std::string> names_;
  std::vector<Sink> sinks_;
};

}  // namespace onnx_check
