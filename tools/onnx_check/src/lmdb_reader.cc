#include "lmdb_reader.h"

#include <sys/stat.h>

#include "damage_guard.h"
#include "error.h"
#include "text.h"

namespace onnx_check {
namespace {

void on_failed_assertion(MDB_env*, const char*) { report_damage(); }

std::string_view view(const MDB_val& value) { return {static_cast<const char*>(value.mv_data), value.mv_size}; }

}  // namespace

LmdbReader::LmdbReader(const std::string& folder)
    : folder_(folder), damage_line_("onnx_check: " + one_line(folder) + ": the database is damaged inside\n") {
  struct stat about = {};
  if (stat(folder.c_str(), &about) != 0) throw Error(with_errno(folder));
  if (!S_ISDIR(about.st_mode)) {
    throw Error(folder + ": not a folder (an LMDB is a folder with a data.mdb) nor an index");
  }
  if (stat((folder + "/data.mdb").c_str(), &about) != 0) {
    const bool leveldb = stat((folder + "/CURRENT").c_str(), &about) == 0;
    throw Error(folder + (leveldb ? ": a LevelDB; onnx_check reads LMDB" : ": no data.mdb, so no LMDB"));
  }

  const DamageGuard guard(damage_line());
  MDB_env* env = nullptr;
  check(mdb_env_create(&env));
  env_.reset(env);
  mdb_env_set_assert(env, on_failed_assertion);
  check(mdb_env_open(env, folder.c_str(), MDB_RDONLY | MDB_NOTLS | MDB_NOLOCK, 0));
  check_length();
  MDB_txn* txn = nullptr;
  check(mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn));
  txn_.reset(txn);
  MDB_dbi dbi = 0;
  check(mdb_dbi_open(txn, nullptr, 0, &dbi));
  MDB_stat stats;
  check(mdb_stat(txn, dbi, &stats));
  entries_ = stats.ms_entries;
  MDB_cursor* cursor = nullptr;
  check(mdb_cursor_open(txn, dbi, &cursor));
  cursor_.reset(cursor);
}

bool LmdbReader::next(Record* record) {
  MDB_val k;
  MDB_val v;
  const int code = mdb_cursor_get(cursor_.get(), &k, &v, MDB_NEXT);
  if (code == MDB_NOTFOUND) return false;
  check(code);
  *record = {view(k), view(v), std::nullopt};
  return true;
}

bool LmdbReader::find(std::string_view key, std::string_view* value) {
  MDB_val k = {key.size(), const_cast<char*>(key.data())};  // LMDB's C interface only reads it
  MDB_val v;
  const int code = mdb_cursor_get(cursor_.get(), &k, &v, MDB_SET_KEY);
  if (code == MDB_NOTFOUND) return false;
  check(code);
  *value = view(v);
  return true;
}

void LmdbReader::check(int code) const {
  if (code == MDB_SUCCESS) return;
  const bool foreign = code == MDB_INVALID || code == MDB_VERSION_MISMATCH;
  throw Error(folder_ + ": " +
              (foreign ? "data.mdb is not an LMDB file, or is truncated" : one_line(mdb_strerror(code))));
}

// LMDB maps the file and trusts it: a page behind the end of a truncated file would end the program with SIGBUS.
void LmdbReader::check_length() const {
  MDB_envinfo info;
  MDB_stat stats;
  check(mdb_env_info(env_.get(), &info));
  check(mdb_env_stat(env_.get(), &stats));
  struct stat file = {};
  if (stat((folder_ + "/data.mdb").c_str(), &file) != 0) throw Error(with_errno(folder_));
  const auto length = static_cast<unsigned long long>(file.st_size);
  const unsigned long long needed = (static_cast<unsigned long long>(info.me_last_pgno) + 1) * stats.ms_psize;
  if (length < needed) {
    throw Error(folder_ + ": data.mdb is truncated: " + std::to_string(length) + " bytes, expected " +
                std::to_string(needed));
  }
}

}  // namespace onnx_check
