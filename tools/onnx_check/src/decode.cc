#include "decode.h"

#include "error.h"

namespace onnx_check {
namespace {

bool begins_with(std::string_view file, std::string_view magic) { return file.substr(0, magic.size()) == magic; }

}  // namespace

void Pixels::resize(ImageShape new_shape) {
  shape = new_shape;
  data.resize(shape.count());
}

void Pixels::set_row(int y, const unsigned char* samples) {
  const auto channels = static_cast<size_t>(shape.channels);
  const auto width = static_cast<size_t>(shape.width);
  const size_t plane = width * static_cast<size_t>(shape.height);
  for (size_t c = 0; c < channels; ++c) {
    unsigned char* row = data.data() + c * plane + static_cast<size_t>(y) * width;
    for (size_t x = 0; x < width; ++x) row[x] = samples[x * channels + c];
  }
}

void decode_image(std::string_view file, Color color, Pixels* pixels) {
  if (begins_with(file, "\xff\xd8\xff")) return decode_jpeg(file, color, pixels);
  if (begins_with(file, "\x89PNG\r\n\x1a\n")) return decode_png(file, color, pixels);
  throw Error("an encoded Datum that is neither JPEG nor PNG");
}

}  // namespace onnx_check
