#include "blob.h"

#include <fstream>
#include <iterator>
#include <limits>

#include "error.h"
#include "wire.h"

namespace onnx_check {
namespace {

ImageShape image_shape(const std::vector<int64_t>& sides, const std::string& path) {
  bool good = sides.size() == 4 && sides[0] == 1;
  for (const int64_t side : sides) good = good && side > 0 && side <= (1 << 20);
  if (!good) {
    std::string text;
    for (const int64_t side : sides) text += (text.empty() ? "" : "x") + std::to_string(side);
    throw Error(path + ": a blob of shape " + (text.empty() ? "()" : text) + ", expected one image, 1xCxHxW");
  }
  return {static_cast<int>(sides[1]), static_cast<int>(sides[2]), static_cast<int>(sides[3])};
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(with_errno(path));
  std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) throw Error(with_errno(path));
  return content;
}

MeanImage parse_mean(const std::string& content, const std::string& path) {
  using Type = WireReader::Type;
  MeanImage mean;
  std::vector<int64_t> sides;
  std::vector<int64_t> legacy(4, 0);
  std::vector<double> doubles;
  bool has_legacy = false;
  try {
    for (WireReader wire(content); wire.next();) {
      if (wire.field() <= 4 && wire.type() == Type::kVarint) {
        has_legacy = true;
        legacy[static_cast<size_t>(wire.field() - 1)] = wire.int32();
      }
      if (wire.field() == 5) wire.append_floats(&mean.data);
      if (wire.field() == 8) wire.append_doubles(&doubles);
      if (wire.is(7, Type::kBytes)) {
        for (WireReader shape(wire.bytes()); shape.next();) {
          if (shape.field() == 1) shape.append_int64s(&sides);
        }
      }
    }
  } catch (const Error& error) {
    throw Error(path + ": not a BlobProto: " + error.what());
  }
  if (!doubles.empty()) {  // Caffe prefers doubles, and the legacy sides
    mean.data.clear();
    for (const double value : doubles) mean.data.push_back(static_cast<float>(value));
  }
  mean.shape = image_shape(has_legacy ? legacy : sides, path);
  if (mean.data.size() != mean.shape.count()) {
    throw Error(path + ": a blob of shape " + mean.shape.text() + " needs " + std::to_string(mean.shape.count()) +
                " values, but holds " + std::to_string(mean.data.size()));
  }
  return mean;
}

}  // namespace onnx_check
