// Accuracy and loss as Caffe 1.0 computes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace onnx_check {

/// Whether the Accuracy layer counts a row of scores as right: fewer than `top_k` other classes score as high as the
/// label's or higher, so that a tie counts against it.
bool in_top_k(const float* scores, size_t classes, size_t label, size_t top_k);

/// What SoftmaxWithLoss adds for one image: -log of the label's probability, which counts as FLT_MIN at least.
float log_loss(float probability);

class Metrics {
 public:
  /// Takes in the scores (`classes` of them) of the image `key`. Throws Error for a label outside 0..classes-1.
  void add(const float* scores, size_t classes, int label, const std::string& key);

  size_t images() const { return images_; }
  size_t classes() const { return classes_; }
  double top1() const { return ratio(top1_); }
  /// Nothing where there are fewer than five classes, as Caffe then refuses to ask.
  std::optional<double> top5() const;
  /// Nothing where the scores are no probabilities (such as the output below the softmax).
  std::optional<double> mean_log_loss() const;
  /// Images with an infinity or not-a-number among their scores.
  size_t non_finite() const { return non_finite_; }

 private:
  double ratio(size_t right) const { return static_cast<double>(right) / static_cast<double>(images_); }

  size_t images_ = 0;
  size_t classes_ = 0;
  size_t top1_ = 0;
  size_t top5_ = 0;
  size_t non_finite_ = 0;
  bool probabilities_ = true;
  double log_loss_ = 0;
};

}  // namespace onnx_check
