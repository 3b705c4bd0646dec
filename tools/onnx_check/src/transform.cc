#include "transform.h"

#include <algorithm>

#include "error.h"

namespace onnx_check {

ImageShape Transformer::prepare(const Datum& datum) {
  source_ = datum.shape;
  bytes_ = nullptr;
  floats_ = nullptr;
  if (datum.encoded) {
    decode_image(datum.data, param_.color, &pixels_);
    source_ = pixels_.shape;
    bytes_ = pixels_.data.data();
  } else if (!datum.data.empty()) {
    bytes_ = reinterpret_cast<const unsigned char*>(datum.data.data());
  } else {
    floats_ = datum.float_data.data();
  }
  if (param_.in_model && bytes_ == nullptr) throw Error("an image of floats, but the model takes uint8 pixels");

  if (param_.mean && param_.mean->shape != source_) {
    throw Error("an image of " + source_.text() + ", but the mean of " + param_.mean_path + " is " +
                param_.mean->shape.text());
  }
  const size_t means = param_.mean_values.size();
  if (means > 1 && means != static_cast<size_t>(source_.channels)) {
    throw Error("an image of " + source_.text() + ", but " + std::to_string(means) +
                " mean values (expected 1, or one for each channel)");
  }
  target_ = source_;
  if (const int crop = param_.crop_size; crop > 0) {
    if (crop > source_.height || crop > source_.width) {
      throw Error("an image of " + source_.text() + " is smaller than the crop of " + std::to_string(crop));
    }
    target_.height = target_.width = crop;
  }
  return target_;
}

void Transformer::apply(float* out) const {
  if (bytes_ != nullptr) {
    write(bytes_, out);
  } else {
    write(floats_, out);
  }
}

void Transformer::copy(unsigned char* out) const { std::copy_n(bytes_, target_.count(), out); }

template <typename Value>
void Transformer::write(const Value* values, float* out) const {
  const int top = (source_.height - target_.height) / 2;
  const int left = (source_.width - target_.width) / 2;
  const float scale = param_.scale;
  for (int c = 0; c < target_.channels; ++c) {
    const size_t means = param_.mean_values.size();
    const float channel_mean = means == 0 ? 0.0F : param_.mean_values[means == 1 ? 0 : static_cast<size_t>(c)];
    for (int y = 0; y < target_.height; ++y) {
      const size_t row = (static_cast<size_t>(c) * static_cast<size_t>(source_.height) + static_cast<size_t>(top + y)) *
                             static_cast<size_t>(source_.width) +
                         static_cast<size_t>(left);
      const Value* from = values + row;
      if (param_.mean) {  // at the source's position: the mean is cropped along
        const float* mean = param_.mean->data.data() + row;
        for (int x = 0; x < target_.width; ++x) out[x] = (static_cast<float>(from[x]) - mean[x]) * scale;
      } else {
        for (int x = 0; x < target_.width; ++x) out[x] = (static_cast<float>(from[x]) - channel_mean) * scale;
      }
      out += target_.width;
    }
  }
}

}  // namespace onnx_check
