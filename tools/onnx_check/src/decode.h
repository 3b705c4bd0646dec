// JPEG and PNG files inside a Datum, decoded to the pixels that OpenCV's imdecode gives Caffe.
#pragma once

#include <string_view>
#include <vector>

#include "datum.h"

namespace onnx_check {

/// What to make of the file's own colours: Caffe's force_color and force_gray, or neither.
enum class Color { kNative, kColor, kGray };

/// A decoded image: uint8, planar, blue-green-red (and alpha), or one grey plane.
struct Pixels {
  ImageShape shape;
  std::vector<unsigned char> data;

  /// Makes room for `shape`.
  void resize(ImageShape new_shape);
  /// Takes in row `y` of interleaved samples, in the order of the planes.
  void set_row(int y, const unsigned char* samples);
};

/// Decodes `file` into `pixels` (whose memory is used again). Throws Error for a kind that this build cannot read, and
/// for a damaged or truncated file.
void decode_image(std::string_view file, Color color, Pixels* pixels);

// Behind decode_image(), one for each kind; they throw where the build has no library for it.
void decode_jpeg(std::string_view file, Color color, Pixels* pixels);
void decode_png(std::string_view file, Color color, Pixels* pixels);

}  // namespace onnx_check
