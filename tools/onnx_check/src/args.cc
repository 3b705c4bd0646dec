#include "args.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <tuple>
#include <utility>

#include "error.h"

namespace onnx_check {
namespace {

int whole_number(const std::string& option, const std::string& text, int least) {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < least) {
    throw UsageError(option + " " + text + ": expected a whole number of " + std::to_string(least) + " or more");
  }
  return value;
}

float number(const std::string& option, const std::string& text) {
  char* stop = nullptr;
  const float value = std::strtof(text.c_str(), &stop);
  if (text.empty() || *stop != '\0' || !std::isfinite(value)) {
    throw UsageError(option + " " + text + ": expected a number");
  }
  return value;
}

std::vector<float> numbers(const std::string& option, const std::string& text) {
  std::vector<float> values;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    values.push_back(number(option, text.substr(at, comma - at)));
    at = comma + 1;
  }
  return values;
}

// Splits NAME=FILE; without a name the first half is empty.
std::pair<std::string, std::string> name_and_file(const std::string& option, const std::string& text) {
  const size_t equals = text.find('=');
  const std::string name = equals == std::string::npos ? "" : text.substr(0, equals);
  const std::string file = equals == std::string::npos ? text : text.substr(equals + 1);
  if (file.empty() || equals == 0) throw UsageError(option + " " + text + ": expected [NAME=]FILE");
  return {name, file};
}

RawInput raw_input(const std::string& option, const std::string& text) {
  RawInput raw;
  std::tie(raw.name, raw.file) = name_and_file(option, text);
  const size_t colon = raw.file.rfind(':');
  if (colon == std::string::npos || raw.file.find_first_not_of("0123456789x", colon + 1) != std::string::npos)
    return raw;
  std::string sides = raw.file.substr(colon + 1) + "x";
  raw.file.resize(colon);
  for (size_t at = 0; at < sides.size();) {
    const size_t end = sides.find('x', at);
    raw.shape.push_back(whole_number(option, sides.substr(at, end - at), 0));
    at = end + 1;
  }
  return raw;
}

Provider provider(const std::string& option, const std::string& text) {
  if (text == "cpu") return Provider::kCpu;
  if (text == "cuda") return Provider::kCuda;
  throw UsageError(option + " " + text + ": expected cpu or cuda");
}

void set_color(Color color, Args* args) {
  if (args->color != Color::kNative && args->color != color) {
    throw UsageError("--force-color and --force-gray exclude each other, as in Caffe");
  }
  args->color = color;
}

void check(const Args& args) {
  if (args.model.empty()) throw UsageError("--model is missing (see --help)");
  const bool raw = !args.raw.empty() || (args.db.empty() && !args.dumps.empty());
  if (args.db.empty() != raw) throw UsageError("expected one of --db and --raw (see --help)");
  if (!args.mean.empty() && !args.mean_values.empty()) {
    throw UsageError("--mean and --mean-value exclude each other, as in Caffe");
  }
}

}  // namespace

Args parse_args(int argc, const char* const* argv) {
  Args args;
  const std::map<std::string, std::function<void()>> flags = {
      {"--force-color", [&] { set_color(Color::kColor, &args); }},
      {"--force-gray", [&] { set_color(Color::kGray, &args); }},
      {"--ignore-metadata", [&] { args.ignore_metadata = true; }},
      {"--help", [&] { args.help = true; }},
      {"-h", [&] { args.help = true; }},
      {"--version", [&] { args.version = true; }},
  };
  using Value = const std::string&;
  const std::map<std::string, std::function<void(Value, Value)>> options = {
      {"--model", [&](Value, Value text) { args.model = text; }},
      {"--db", [&](Value, Value text) { args.db = text; }},
      {"--raw", [&](Value option, Value text) { args.raw.push_back(raw_input(option, text)); }},
      {"--mean", [&](Value, Value text) { args.mean = text; }},
      {"--mean-value", [&](Value option, Value text) { args.mean_values = numbers(option, text); }},
      {"--crop", [&](Value option, Value text) { args.crop = whole_number(option, text, 0); }},
      {"--scale", [&](Value option, Value text) { args.scale = number(option, text); }},
      {"--input", [&](Value, Value text) { args.input = text; }},
      {"--output", [&](Value, Value text) { args.output = text; }},
      {"--batch", [&](Value option, Value text) { args.batch = whole_number(option, text, 1); }},
      {"--threads", [&](Value option, Value text) { args.threads = whole_number(option, text, 0); }},
      {"--limit", [&](Value option, Value text) { args.limit = whole_number(option, text, 1); }},
      {"--provider", [&](Value option, Value text) { args.provider = provider(option, text); }},
      {"--dump",
       [&](Value option, Value text) {
         const auto [name, file] = name_and_file(option, text);
         args.dumps.push_back({name, file});
       }},
  };
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (const auto flag = flags.find(option); flag != flags.end()) {
      flag->second();
      continue;
    }
    const auto found = options.find(option);
    if (found == options.end()) throw UsageError("unknown argument " + option + " (see --help)");
    if (i + 1 == argc || *argv[i + 1] == '\0') throw UsageError(option + " needs a value (see --help)");
    found->second(option, argv[++i]);
  }
  if (!args.help && !args.version) check(args);
  return args;
}

const char* usage() {
  return R"(onnx_check --model NET.onnx --db LMDB [options]
    the accuracy and loss of a net over a Caffe LMDB, or an index over one, with Caffe's TEST transform, as JSON
onnx_check --model NET.onnx --raw [NAME=]FILE[:SHAPE] [--dump [NAME=]FILE] [options]
    one run on raw values, for comparing layer by layer

Images (from --db; pixels as stored for a model whose input is uint8, which transforms by itself):
  --mean FILE            mean image, a binaryproto file; the very one if the model names its SHA-256
  --mean-value A[,B,C]   mean of all channels, or of each (blue, green, red)
  --crop N               side of the centre crop; 0 takes the whole image  [the model's crop_size, else 0]
  --scale S              factor after the mean  [the model's scale, else 1]
  --force-color          encoded images: three channels even if grey (Caffe's force_color)
  --force-gray           encoded images: one channel even if coloured (Caffe's force_gray)
  --ignore-metadata      neither use nor check what the model says about its preprocessing
  --limit N              the first N images only

Raw values (--raw, once for each input; --dump alone for a model without inputs):
  NAME                   the input  [the only one]
  SHAPE                  sides like 8x3x227x227  [the model's own, the batch given by the file's size]

Run:
  --input NAME           input that takes the images  [the only one, or "data"]
  --output NAME          output that is judged  [the only one, or "prob"]
  --dump [NAME=]FILE     write an output as raw float32, row-major; its shape is in the JSON; may be repeated
  --batch N              images at once  [64, or the model's own where that is fixed]
  --threads N            threads inside an operator; reading has one more  [0: one for each core]
  --provider cpu|cuda    where to run  [cpu]

  --version              versions of this program and of ONNX Runtime
  --help                 this text

Exit code: 0 done, 1 failed with one line on stderr, 2 wrong usage.
)";
}

}  // namespace onnx_check
