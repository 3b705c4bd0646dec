// What the command line and the model together say about the preprocessing of the images.
#pragma once

#include "args.h"
#include "json.h"
#include "transform.h"

namespace onnx_check {

/// Takes crop, scale and mean values from the command line or else from the model's metadata (keys crop_size, scale,
/// mean_value). Throws Error where the two contradict each other: a mean file with another SHA-256 than the model's
/// mean_sha256, none given where the model names one, or images that are not channel_order BGR. A model whose `input`
/// is uint8 crops, takes off the mean and scales by itself: what its metadata say of that is done already, and asking
/// for it again throws Error, too.
TransformParam choose_transform(const Args& args, const Session& session, const TensorSpec& input);

/// The choice, for the report.
JsonObject describe(const TransformParam& param);

}  // namespace onnx_check
