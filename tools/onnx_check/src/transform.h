// Caffe's DataTransformer in the TEST phase: crop the centre, take off the mean, scale.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "blob.h"
#include "datum.h"
#include "decode.h"

namespace onnx_check {

struct TransformParam {
  bool in_model = false;  // the net transforms by itself and takes pixels as stored: only `color` counts
  int crop_size = 0;      // 0: the whole image
  float scale = 1.0F;
  std::optional<MeanImage> mean;
  std::string mean_path;           // names `mean` in errors
  std::vector<float> mean_values;  // one for every channel, or one for each
  Color color = Color::kNative;    // of encoded images
};

class Transformer {
 public:
  explicit Transformer(TransformParam param) : param_(std::move(param)) {}

  /// Decodes `datum` where it is encoded, and says what shape apply() or copy() will write for it. Throws Error when
  /// the crop or the mean does not fit, or when the net takes pixels and the datum holds floats.
  ImageShape prepare(const Datum& datum);

  /// Writes out = (value - mean) * scale for the datum last prepared: float32, planar, the shape that prepare() gave.
  void apply(float* out) const;

  /// Writes the pixels of the datum last prepared as they are, where the net transforms by itself.
  void copy(unsigned char* out) const;

  bool in_model() const { return param_.in_model; }

 private:
  template <typename Value>
  void write(const Value* values, float* out) const;

  TransformParam param_;
  Pixels pixels_;
  ImageShape source_;                     // before the crop
  ImageShape target_;                     // after it
  const unsigned char* bytes_ = nullptr;  // the datum's values are bytes or
  const float* floats_ = nullptr;         // floats
};

}  // namespace onnx_check
