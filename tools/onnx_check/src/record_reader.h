// The records of a database, in some order.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace onnx_check {

/// `label` is the one that the record goes by, where that is not its own.
struct Record {
  std::string_view key;
  std::string_view value;
  std::optional<int> label;
};

class RecordReader {
 public:
  virtual ~RecordReader() = default;

  /// Moves to the next record; false at the end. The views hold until the next call.
  virtual bool next(Record* record) = 0;

  virtual const std::string& path() const = 0;
  virtual size_t entries() const = 0;
  /// For a DamageGuard around whatever touches the views.
  virtual const char* damage_line() const = 0;
};

/// Opens an LMDB, or an index over one. Throws Error when `path` is neither.
std::unique_ptr<RecordReader> open_records(const std::string& path);

}  // namespace onnx_check
