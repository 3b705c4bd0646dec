// The two things the program does. Each returns the report.
#pragma once

#include "args.h"
#include "json.h"

namespace onnx_check {

/// Judges the net on every image of a database.
JsonObject check_db(const Args& args);

/// Runs the net once on values from files.
JsonObject check_raw(const Args& args);

}  // namespace onnx_check
