// Caffe's Datum: one image and its label, as a record of the database holds it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace onnx_check {

/// Channels, height and width of an image.
struct ImageShape {
  int channels = 0;
  int height = 0;
  int width = 0;

  size_t count() const {
    return static_cast<size_t>(channels) * static_cast<size_t>(height) * static_cast<size_t>(width);
  }
  std::string text() const;
  bool operator==(const ImageShape& other) const;
  bool operator!=(const ImageShape& other) const { return !(*this == other); }
};

/// The parsed message. `data` points into the record it was parsed from.
struct Datum {
  ImageShape shape;
  std::string_view data;  // uint8, planar (channels x height x width), or a whole JPEG or PNG file when `encoded`
  std::vector<float> float_data;  // stands for `data` when that is empty
  int label = 0;
  bool encoded = false;
};

/// Parses a record into `datum` (whose memory is used again). Throws Error unless it is a Datum that holds as many
/// values as its shape says; the shape of an encoded one is its decoder's to find.
void parse_datum(std::string_view record, Datum* datum);

}  // namespace onnx_check
