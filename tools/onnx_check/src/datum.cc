#include "datum.h"

#include "error.h"
#include "wire.h"

namespace onnx_check {
namespace {

constexpr int kMaxSide = 1 << 20;  // keeps the product of three sides inside 64 bits

void check_size(const Datum& datum) {
  for (const int side : {datum.shape.channels, datum.shape.height, datum.shape.width}) {
    if (side < 1 || side > kMaxSide) throw Error("a Datum of shape " + datum.shape.text());
  }
  const bool raw = !datum.data.empty();
  const size_t held = raw ? datum.data.size() : datum.float_data.size();
  if (held == datum.shape.count()) return;
  throw Error("a Datum of shape " + datum.shape.text() + " needs " + std::to_string(datum.shape.count()) +
              " values, but holds " + std::to_string(held) + (raw ? " bytes" : " floats"));
}

}  // namespace

std::string ImageShape::text() const {
  return std::to_string(channels) + "x" + std::to_string(height) + "x" + std::to_string(width);
}

bool ImageShape::operator==(const ImageShape& other) const {
  return channels == other.channels && height == other.height && width == other.width;
}

void parse_datum(std::string_view record, Datum* datum) {
  using Type = WireReader::Type;
  datum->shape = {};
  datum->data = {};
  datum->float_data.clear();
  datum->label = 0;
  datum->encoded = false;
  try {
    for (WireReader wire(record); wire.next();) {
      if (wire.is(1, Type::kVarint)) datum->shape.channels = wire.int32();
      if (wire.is(2, Type::kVarint)) datum->shape.height = wire.int32();
      if (wire.is(3, Type::kVarint)) datum->shape.width = wire.int32();
      if (wire.is(4, Type::kBytes)) datum->data = wire.bytes();
      if (wire.is(5, Type::kVarint)) datum->label = wire.int32();
      if (wire.field() == 6) wire.append_floats(&datum->float_data);
      if (wire.is(7, Type::kVarint)) datum->encoded = wire.boolean();
    }
  } catch (const Error& error) {
    throw Error(std::string("not a Datum: ") + error.what());
  }
  if (!datum->encoded) check_size(*datum);
}

}  // namespace onnx_check
