#include "wire.h"

#include <cstring>
#include <string>

#include "error.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the fixed-size numbers of the wire format are read on little-endian machines only"
#endif

namespace onnx_check {
namespace {

template <typename Number>
void append_packed(std::string_view bytes, std::vector<Number>* values) {
  if (bytes.empty()) return;
  const size_t before = values->size();
  values->resize(before + bytes.size() / sizeof(Number));
  std::memcpy(values->data() + before, bytes.data(), bytes.size());
}

}  // namespace

void WireReader::fail(const char* what) const {
  throw Error(std::string(what) + " at byte " + std::to_string(position_) + " of " + std::to_string(message_.size()));
}

uint64_t WireReader::varint() {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (position_ == message_.size()) fail("cut off");
    const auto byte = static_cast<unsigned char>(message_[position_++]);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  fail("a number of more than 64 bits");
}

std::string_view WireReader::take(uint64_t size) {
  if (size > message_.size() - position_) fail("cut off");
  const std::string_view taken = message_.substr(position_, static_cast<size_t>(size));
  position_ += taken.size();
  return taken;
}

bool WireReader::next() {
  if (position_ == message_.size()) return false;
  const uint64_t tag = varint();
  if (tag >> 3 == 0 || tag >> 32 != 0) fail("no field number");
  field_ = static_cast<int>(tag >> 3);
  number_ = 0;
  bytes_ = {};
  switch (tag & 7) {
    case 0:
      type_ = Type::kVarint;
      number_ = varint();
      break;
    case 1:
      type_ = Type::kFixed64;
      bytes_ = take(8);
      break;
    case 2:
      type_ = Type::kBytes;
      bytes_ = take(varint());
      break;
    case 5:
      type_ = Type::kFixed32;
      bytes_ = take(4);
      break;
    default:  // groups (3, 4) occur in no message of Caffe's
      fail("an unknown wire type");
  }
  return true;
}

void WireReader::append_floats(std::vector<float>* values) const {
  if ((type_ != Type::kFixed32 && type_ != Type::kBytes) || bytes_.size() % 4 != 0) fail("no list of floats");
  append_packed(bytes_, values);
}

void WireReader::append_doubles(std::vector<double>* values) const {
  if ((type_ != Type::kFixed64 && type_ != Type::kBytes) || bytes_.size() % 8 != 0) fail("no list of doubles");
  append_packed(bytes_, values);
}

void WireReader::append_int64s(std::vector<int64_t>* values) const {
  if (type_ == Type::kVarint) {
    values->push_back(int64());
    return;
  }
  if (type_ != Type::kBytes) fail("no list of numbers");
  WireReader packed(bytes_);
  while (packed.position_ != packed.message_.size()) values->push_back(static_cast<int64_t>(packed.varint()));
}

}  // namespace onnx_check
