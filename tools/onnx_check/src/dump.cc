#include "dump.h"

#include <unistd.h>

#include "error.h"

namespace onnx_check {

DumpFile::DumpFile(const std::string& path)
    : path_(path),
      temporary_(path + "." + std::to_string(getpid()) + ".tmp"),
      file_(std::fopen(temporary_.c_str(), "wb")) {
  check(file_ != nullptr);
}

DumpFile::~DumpFile() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  unlink(temporary_.c_str());
}

void DumpFile::write(const float* values, size_t count) {
  check(std::fwrite(values, sizeof(float), count, file_) == count);
}

void DumpFile::commit() {
  check(std::fflush(file_) == 0 && fsync(fileno(file_)) == 0);
  check(std::rename(temporary_.c_str(), path_.c_str()) == 0);
  std::fclose(file_);
  file_ = nullptr;
}

void DumpFile::check(bool good) const {
  if (!good) throw Error(with_errno(path_));
}

}  // namespace onnx_check
