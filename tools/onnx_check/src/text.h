// Text from elsewhere, made fit to be printed.
#pragma once

#include <string>

namespace onnx_check {

/// `text` with a question mark for every byte that is no part of valid UTF-8: keys and file names may hold any bytes.
std::string valid_utf8(const std::string& text);

/// `text` as one line of valid UTF-8 without control characters, cut off after `limit` bytes.
std::string one_line(const std::string& text, size_t limit = 600);

}  // namespace onnx_check
