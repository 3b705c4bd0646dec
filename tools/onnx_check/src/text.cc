#include "text.h"

#include <cctype>

namespace onnx_check {
namespace {

// The length of the UTF-8 sequence at the start of `text`; 0 if there is none. Overlong forms, surrogates and numbers
// past the end of Unicode are recognised by their first two bytes.
size_t sequence_length(const unsigned char* text, size_t size) {
  const unsigned char first = text[0];
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || length > size) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((text[i] & 0xc0) != 0x80) return 0;
  }
  const unsigned char second = text[1];
  const bool bad = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
                   (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
  return bad ? 0 : length;
}

}  // namespace

std::string valid_utf8(const std::string& text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t length = sequence_length(bytes + at, text.size() - at);
    result += length == 0 ? "?" : text.substr(at, length);
    at += length == 0 ? 1 : length;
  }
  return result;
}

std::string one_line(const std::string& text, size_t limit) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isspace(byte) != 0) {
      if (!line.empty() && line.back() != ' ') line += ' ';
    } else {
      line += std::iscntrl(byte) != 0 ? '?' : c;
    }
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  if (line.size() > limit) line = line.substr(0, limit) + "...";
  return valid_utf8(line);
}

}  // namespace onnx_check
