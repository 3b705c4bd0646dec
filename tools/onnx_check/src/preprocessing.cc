#include "preprocessing.h"

#include <cmath>
#include <cstdlib>
#include <utility>

#include "error.h"
#include "sha256.h"
#include "text.h"

namespace onnx_check {
namespace {

class Metadata {
 public:
  explicit Metadata(const Session& session) : session_(session) {}

  std::string text(const std::string& key) const {
    const auto found = session_.metadata().find(key);
    return found == session_.metadata().end() ? "" : found->second;
  }

  // A list like "104,117,123"; empty where the model has no such key.
  std::vector<float> numbers(const std::string& key) const {
    const std::string list = text(key);
    std::vector<float> values;
    for (const char* at = list.c_str(); *at != '\0';) {
      char* end = nullptr;
      values.push_back(std::strtof(at, &end));
      const bool more = *end == ',';
      if (end == at || (*end != '\0' && !more) || !std::isfinite(values.back())) fail(key, "numbers");
      at = more ? end + 1 : end;
    }
    return values;
  }

  float number(const std::string& key, float fallback) const {
    const std::vector<float> values = numbers(key);
    if (values.size() > 1) fail(key, "one number");
    return values.empty() ? fallback : values.front();
  }

  [[noreturn]] void fail(const std::string& key, const std::string& expected) const {
    throw Error(session_.path() + ": its metadata say " + key + " = \"" + one_line(text(key), 100) + "\", expected " +
                expected + " (--ignore-metadata goes on regardless)");
  }

 private:
  const Session& session_;
};

void read_mean(const Args& args, const std::string& expected_sha, const std::string& model, TransformParam* param) {
  const std::string content = read_file(args.mean);
  const std::string sha = sha256_hex(content);
  if (!expected_sha.empty() && sha != expected_sha) {
    throw Error(args.mean + ": SHA-256 " + sha + ", but " + model + " was made with the mean of SHA-256 " +
                expected_sha);
  }
  param->mean = parse_mean(content, args.mean);
  param->mean_path = args.mean;
}

// Once is enough: no crop, mean or scale for a model that does all that.
void check_nothing_asked(const Args& args, const Session& session, const TensorSpec& input) {
  const std::pair<const char*, bool> options[] = {{"--crop", args.crop.has_value()},
                                                  {"--mean", !args.mean.empty()},
                                                  {"--mean-value", !args.mean_values.empty()},
                                                  {"--scale", args.scale.has_value()}};
  for (const auto& [option, given] : options) {
    if (!given) continue;
    throw Error(std::string(option) + " is not for " + session.path() + ": its input \"" + input.name +
                "\" takes uint8 pixels as they are stored, preprocessing is in the model");
  }
}

void check_channel_order(const Metadata& metadata) {
  const std::string order = metadata.text("channel_order");
  if (order != "" && order != "BGR" && order != "GRAY") metadata.fail("channel_order", "BGR, as Caffe's databases are");
}

// The place of the preprocessing that the metadata name must be the one that the input's type tells.
void check_place(const Metadata& metadata, const TensorSpec& input) {
  const std::string place = metadata.text("preprocessing");
  const bool pixels = is_uint8(input.type);
  if (place == "" || (place == "in the model") == pixels) return;
  metadata.fail("preprocessing",
                pixels ? "in the model: its input is uint8" : "outside the model: its input is float32");
}

}  // namespace

TransformParam choose_transform(const Args& args, const Session& session, const TensorSpec& input) {
  TransformParam param;
  param.color = args.color;
  param.in_model = is_uint8(input.type);
  if (!args.ignore_metadata) {
    const Metadata metadata(session);
    check_channel_order(metadata);
    check_place(metadata, input);
  }
  if (param.in_model) {
    check_nothing_asked(args, session, input);
    return param;
  }
  param.mean_values = args.mean_values;
  std::string mean_sha;
  if (!args.ignore_metadata) {
    const Metadata metadata(session);
    const float crop = metadata.number("crop_size", 0);
    if (crop < 0 || crop > 1e6F || crop != std::floor(crop)) metadata.fail("crop_size", "a whole number");
    param.crop_size = static_cast<int>(crop);
    param.scale = metadata.number("scale", 1);
    if (args.mean.empty() && args.mean_values.empty()) param.mean_values = metadata.numbers("mean_value");
    mean_sha = metadata.text("mean_sha256");
  }
  if (args.crop) param.crop_size = *args.crop;
  if (args.scale) param.scale = *args.scale;
  if (!args.mean.empty()) {
    read_mean(args, mean_sha, session.path(), &param);
  } else if (!mean_sha.empty()) {
    throw Error(session.path() + " was made with the mean file of SHA-256 " + mean_sha + ": name it with --mean");
  }
  return param;
}

JsonObject describe(const TransformParam& param) {
  JsonObject json;
  if (param.in_model) return json.add("preprocessing", "in the model");
  json.add("crop_size", int64_t{param.crop_size}).add("scale", static_cast<double>(param.scale));
  if (param.mean) json.add("mean", param.mean_path);
  if (!param.mean_values.empty()) json.add("mean_value", param.mean_values);
  return json;
}

}  // namespace onnx_check
