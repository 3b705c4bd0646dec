// The records of a Caffe LMDB in the order of their keys.
#pragma once

#include <lmdb.h>

#include <memory>
#include <string>
#include <string_view>

#include "record_reader.h"

namespace onnx_check {

/// Reads without taking LMDB's lock, so a database may lie on a read-only disk and gets no lock file.
class LmdbReader : public RecordReader {
 public:
  /// Opens `folder`. Throws Error when there is no LMDB in it, or its data.mdb is shorter than its own pages say.
  explicit LmdbReader(const std::string& folder);

  bool next(Record* record) override;
  /// The record of a key, valid as long as the reader; false when there is none.
  bool find(std::string_view key, std::string_view* value);

  const std::string& path() const override { return folder_; }
  size_t entries() const override { return entries_; }
  const char* damage_line() const override { return damage_line_.c_str(); }

 private:
  struct CloseEnv {
    void operator()(MDB_env* env) const { mdb_env_close(env); }
  };
  struct AbortTxn {
    void operator()(MDB_txn* txn) const { mdb_txn_abort(txn); }
  };
  struct CloseCursor {
    void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
  };

  void check(int code) const;
  void check_length() const;

  std::string folder_;
  std::string damage_line_;
  std::unique_ptr<MDB_env, CloseEnv> env_;  // in this order: closed from the last to the first
  std::unique_ptr<MDB_txn, AbortTxn> txn_;
  std::unique_ptr<MDB_cursor, CloseCursor> cursor_;
  size_t entries_ = 0;
};

}  // namespace onnx_check
