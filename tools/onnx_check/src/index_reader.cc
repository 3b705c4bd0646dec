#include "index_reader.h"

#include <charconv>
#include <fstream>
#include <iterator>

#include "error.h"
#include "text.h"

namespace onnx_check {
namespace {

constexpr std::string_view kMagic = "index of ";

// The LMDB that the first line names, as seen from the index's folder.
std::string base_of(const std::string& path, std::string_view line) {
  const std::string name(line.substr(kMagic.size()));
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || (!name.empty() && name[0] == '/')) return name;
  return path.substr(0, slash + 1) + name;
}

}  // namespace

IndexReader::IndexReader(const std::string& path) : path_(path) {
  std::ifstream file(path, std::ios::binary);
  text_.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  if (!file || text_.empty() || text_.back() != '\n') {
    throw Error(path + ": a truncated index: its last line has no end");
  }
  std::string_view line;
  next_line(&line);
  base_ = std::make_unique<LmdbReader>(base_of(path, line));
  for (size_t i = position_; i < text_.size(); ++i) {
    if (text_[i] == '\n' && text_[i - 1] != '\n') ++entries_;
  }
}

bool IndexReader::recognises(const std::string& path) {
  char start[kMagic.size()];
  std::ifstream file(path, std::ios::binary);
  return file.read(start, sizeof(start)) && std::string_view(start, sizeof(start)) == kMagic;
}

bool IndexReader::next(Record* record) {
  std::string_view line;
  do {
    if (!next_line(&line)) return false;
  } while (line.empty());
  const size_t blank = line.rfind(' ');
  int label = 0;
  const char* end = line.data() + line.size();
  const char* start = blank == std::string_view::npos ? end : line.data() + blank + 1;
  const auto [stopped, problem] = std::from_chars(start, end, label);
  if (problem != std::errc() || stopped != end) {
    throw Error(path_ + ":" + std::to_string(line_number_) + ": expected a key, a blank and a label");
  }
  record->key = line.substr(0, blank);
  record->label = label;
  if (!base_->find(record->key, &record->value)) {
    throw Error(path_ + ": record " + one_line(std::string(record->key), 100) + ": not in " + base_->path() +
                ": this index belongs to another database");
  }
  return true;
}

bool IndexReader::next_line(std::string_view* line) {
  if (position_ == text_.size()) return false;
  const size_t end = text_.find('\n', position_);
  *line = std::string_view(text_).substr(position_, end - position_);
  position_ = end + 1;
  ++line_number_;
  return true;
}

std::unique_ptr<RecordReader> open_records(const std::string& path) {
  if (IndexReader::recognises(path)) return std::make_unique<IndexReader>(path);
  return std::make_unique<LmdbReader>(path);
}

}  // namespace onnx_check
