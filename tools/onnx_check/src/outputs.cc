#include "outputs.h"

#include <algorithm>

#include "error.h"

namespace onnx_check {

Outputs::Outputs(const Args& args, const Session& session, const std::string& judged) {
  if (!judged.empty()) names_.push_back(judged);
  for (const Dump& dump : args.dumps) {
    const std::string name =
        dump.name.empty() && !judged.empty() ? judged : session.find_output(dump.name, "prob").name;
    const auto found = std::find(names_.begin(), names_.end(), name);
    const auto index = static_cast<size_t>(found - names_.begin());
    if (found == names_.end()) names_.push_back(name);
    sinks_.push_back({index, std::make_unique<DumpFile>(dump.file), {}});
  }
}

void Outputs::write(const std::vector<OutputTensor>& tensors, size_t rows) {
  for (Sink& sink : sinks_) {
    const OutputTensor& tensor = tensors[sink.index];
    std::vector<int64_t> shape = tensor.shape;
    size_t count = tensor.count;
    if (!shape.empty() && shape[0] > 0 && static_cast<size_t>(shape[0]) > rows) {  // a padded batch
      count = count / static_cast<size_t>(shape[0]) * rows;
      shape[0] = static_cast<int64_t>(rows);
    }
    sink.file->write(tensor.data, count);
    if (sink.shape.empty() || shape.empty()) {
      sink.shape = shape;
    } else if (std::equal(shape.begin() + 1, shape.end(), sink.shape.begin() + 1, sink.shape.end())) {
      sink.shape[0] += shape[0];
    } else {
      throw Error(sink.file->path() + ": the output " + names_[sink.index] + " changed its shape from " +
                  shape_text(sink.shape) + " to " + shape_text(shape));
    }
  }
}

JsonObject Outputs::commit() {
  JsonObject json;
  for (Sink& sink : sinks_) {
    sink.file->commit();
    json.add(names_[sink.index], JsonObject().add("file", sink.file->path()).add("shape", sink.shape));
  }
  return json;
}

}  // namespace onnx_check
