// Caffe's BlobProto, which mean files are made of.
#pragma once

#include <string>
#include <vector>

#include "datum.h"

namespace onnx_check {

/// A mean image: float32, planar.
struct MeanImage {
  ImageShape shape;
  std::vector<float> data;
};

/// The whole content of a file. Throws Error when it cannot be read.
std::string read_file(const std::string& path);

/// Reads the content of a mean file: a BlobProto of one image, 1xCxHxW, as floats or doubles.
/// Throws Error, naming `path`, for anything else.
MeanImage parse_mean(const std::string& content, const std::string& path);

}  // namespace onnx_check
