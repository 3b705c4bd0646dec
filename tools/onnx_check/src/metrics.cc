#include "metrics.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "error.h"
#include "text.h"

namespace onnx_check {

bool in_top_k(const float* scores, size_t classes, size_t label, size_t top_k) {
  size_t as_high = 0;
  for (size_t i = 0; i < classes; ++i) as_high += i != label && scores[i] >= scores[label] ? 1U : 0U;
  return as_high < top_k;
}

float log_loss(float probability) { return -std::log(std::max(probability, FLT_MIN)); }

void Metrics::add(const float* scores, size_t classes, int label, const std::string& key) {
  if (label < 0 || static_cast<size_t>(label) >= classes) {
    throw Error("record " + one_line(key, 100) + ": the label " + std::to_string(label) + " is outside 0.." +
                std::to_string(classes - 1) + ", the net's classes");
  }
  const auto right = static_cast<size_t>(label);
  double sum = 0;
  bool finite = true;
  bool negative = false;
  for (size_t i = 0; i < classes; ++i) {
    sum += static_cast<double>(scores[i]);
    finite = finite && std::isfinite(scores[i]);
    negative = negative || scores[i] < 0;
  }
  if (!finite) ++non_finite_;
  probabilities_ = probabilities_ && finite && !negative && std::abs(sum - 1) < 1e-3;
  log_loss_ += static_cast<double>(log_loss(scores[right]));
  top1_ += in_top_k(scores, classes, right, 1) ? 1U : 0U;
  top5_ += in_top_k(scores, classes, right, 5) ? 1U : 0U;
  classes_ = classes;
  ++images_;
}

std::optional<double> Metrics::top5() const {
  if (classes_ < 5) return std::nullopt;
  return ratio(top5_);
}

std::optional<double> Metrics::mean_log_loss() const {
  if (!probabilities_) return std::nullopt;
  return log_loss_ / static_cast<double>(images_);
}

}  // namespace onnx_check
