#include "json.h"

#include <cmath>
#include <cstdio>

#include "text.h"

namespace onnx_check {
namespace {

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : valid_utf8(text)) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      result += escape;
    } else {
      result += c;
    }
  }
  return result + "\"";
}

// JSON has no infinity and no not-a-number.
std::string number(double value) {
  if (!std::isfinite(value)) return "null";
  char text[32];
  std::snprintf(text, sizeof text, "%.12g", value);
  return text;
}

}  // namespace

JsonObject& JsonObject::add_raw(const std::string& key, const std::string& value) {
  if (!members_.empty()) members_ += ", ";
  members_ += quoted(key) + ": " + value;
  return *this;
}

JsonObject& JsonObject::add(const std::string& key, const std::string& value) { return add_raw(key, quoted(value)); }

JsonObject& JsonObject::add(const std::string& key, const char* value) { return add_raw(key, quoted(value)); }

JsonObject& JsonObject::add(const std::string& key, int64_t value) { return add_raw(key, std::to_string(value)); }

JsonObject& JsonObject::add(const std::string& key, double value) { return add_raw(key, number(value)); }

JsonObject& JsonObject::add(const std::string& key, const std::optional<double>& value) {
  return value ? add(key, *value) : add_raw(key, "null");
}

JsonObject& JsonObject::add(const std::string& key, const std::vector<int64_t>& values) {
  std::string list;
  for (const int64_t value : values) list += (list.empty() ? "" : ", ") + std::to_string(value);
  return add_raw(key, "[" + list + "]");
}

JsonObject& JsonObject::add(const std::string& key, const std::vector<float>& values) {
  std::string list;
  for (const float value : values) list += (list.empty() ? "" : ", ") + number(static_cast<double>(value));
  return add_raw(key, "[" + list + "]");
}

JsonObject& JsonObject::add(const std::string& key, const JsonObject& value) { return add_raw(key, value.text()); }

}  // namespace onnx_check
