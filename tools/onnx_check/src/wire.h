// Protocol Buffers' wire format, as much of it as reading a message takes. Caffe's Datum and BlobProto have a dozen
// plain fields; sixty lines here need no protoc, no libprotobuf and no agreement between the versions of the two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace onnx_check {

/// Walks over the fields of one encoded message. Any departure from the format is an Error that names the byte.
class WireReader {
 public:
  enum class Type { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  explicit WireReader(std::string_view message) : message_(message) {}

  /// Reads the next field's tag and value; false at the end of the message.
  bool next();

  int field() const { return field_; }
  Type type() const { return type_; }
  bool is(int field, Type type) const { return field_ == field && type_ == type; }

  /// The value of a kVarint field, cut to 32 bits as protobuf's int32 does.
  int32_t int32() const { return static_cast<int32_t>(static_cast<uint32_t>(number_)); }
  /// The value of a kVarint field.
  int64_t int64() const { return static_cast<int64_t>(number_); }
  bool boolean() const { return number_ != 0; }
  /// The value of a kBytes field: a view into the message.
  std::string_view bytes() const { return bytes_; }

  /// Appends the value of a repeated field, which a writer may pack or not. The field's type must fit: an Error if not.
  void append_floats(std::vector<float>* values) const;
  void append_doubles(std::vector<double>* values) const;
  void append_int64s(std::vector<int64_t>* values) const;

 private:
  [[noreturn]] void fail(const char* what) const;
  uint64_t varint();
  std::string_view take(uint64_t size);

  std::string_view message_;
  size_t position_ = 0;
  int field_ = 0;
  Type type_ = Type::kVarint;
  uint64_t number_ = 0;
  std::string_view bytes_;
};

}  // namespace onnx_check
