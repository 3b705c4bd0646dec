// A JSON object, written as it grows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace onnx_check {

class JsonObject {
 public:
  JsonObject& add(const std::string& key, const std::string& value);
  JsonObject& add(const std::string& key, const char* value);
  JsonObject& add(const std::string& key, int64_t value);
  JsonObject& add(const std::string& key, double value);  // null when not finite: JSON has no NaN
  JsonObject& add(const std::string& key, const std::optional<double>& value);
  JsonObject& add(const std::string& key, const std::vector<int64_t>& values);
  JsonObject& add(const std::string& key, const std::vector<float>& values);
  JsonObject& add(const std::string& key, const JsonObject& value);

  /// The whole object on one line.
  std::string text() const { return "{" + members_ + "}"; }

 private:
  JsonObject& add_raw(const std::string& key, const std::string& value);

  std::string members_;
};

}  // namespace onnx_check
