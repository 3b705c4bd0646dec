// An index: a text file that gives records of an LMDB another order and other labels.
//
// Its first line is "index of FOLDER", relative to the file's own folder; each further one is a key, a blank and a
// label, or empty.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "lmdb_reader.h"
#include "record_reader.h"

namespace onnx_check {

class IndexReader : public RecordReader {
 public:
  /// Opens the index and its LMDB. Throws Error when either cannot be read.
  explicit IndexReader(const std::string& path);

  /// Whether a file begins as an index does.
  static bool recognises(const std::string& path);

  bool next(Record* record) override;

  const std::string& path() const override { return path_; }
  size_t entries() const override { return entries_; }
  const char* damage_line() const override { return base_->damage_line(); }

 private:
  bool next_line(std::string_view* line);

  std::string path_;
  std::string text_;
  size_t position_ = 0;  // in the text, of the line to be read next
  size_t line_number_ = 0;
  size_t entries_ = 0;
  std::unique_ptr<LmdbReader> base_;
};

}  // namespace onnx_check
