// A file of raw float32 values that is complete or not there.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>

namespace onnx_check {

/// Writes to a neighbour of `path`, and gives it that name only on commit().
class DumpFile {
 public:
  explicit DumpFile(const std::string& path);
  ~DumpFile();
  DumpFile(const DumpFile&) = delete;
  DumpFile& operator=(const DumpFile&) = delete;

  void write(const float* values, size_t count);
  void commit();
  const std::string& path() const { return path_; }

 private:
  void check(bool good) const;

  std::string path_;
  std::string temporary_;
  std::FILE* file_ = nullptr;
};

}  // namespace onnx_check
