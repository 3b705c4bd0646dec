// SHA-256 (FIPS 180-4), to tell whether a mean file is the one a model was made with.
#pragma once

#include <string>

namespace onnx_check {

/// The digest of `content` in lower-case hexadecimal.
std::string sha256_hex(const std::string& content);

}  // namespace onnx_check
