#include <algorithm>
#include <cstdint>

#include "blob.h"
#include "check.h"
#include "clock.h"
#include "error.h"
#include "outputs.h"

namespace onnx_check {
namespace {

[[noreturn]] void fail(const RawInput& raw, size_t bytes, const TensorSpec& spec, const std::string& shape) {
  throw Error(raw.file + ": " + std::to_string(bytes) + " bytes are not " + element_name(spec.type) +
              " values of shape " + shape + " for the input \"" + spec.name + "\"");
}

// The shape of the values in the file: the given one, or the model's with the batch found from the file's size.
std::vector<int64_t> shape_of(const RawInput& raw, size_t bytes, const TensorSpec& spec) {
  const size_t element = element_size(spec.type);
  if (element == 0) throw Error("the input \"" + spec.name + "\" is " + element_name(spec.type) + ", not numbers");
  std::vector<int64_t> shape = raw.shape.empty() ? spec.shape : raw.shape;
  const auto open = std::count_if(shape.begin(), shape.end(), [](int64_t side) { return side < 0; });
  size_t known = element;
  for (const int64_t side : shape) {
    if (side < 0) continue;
    if (side > 0 && known > SIZE_MAX / static_cast<size_t>(side)) fail(raw, bytes, spec, shape_text(shape));
    known *= static_cast<size_t>(side);
  }
  if (open > 0 && (open > 1 || shape[0] >= 0 || known == 0)) {
    throw Error("the input \"" + spec.name + "\" takes " + shape_text(shape) +
                ": say which with --raw NAME=FILE:SHAPE");
  }
  if (open > 0 ? bytes == 0 || bytes % known != 0 : bytes != known) fail(raw, bytes, spec, shape_text(shape));
  if (open > 0) shape[0] = static_cast<int64_t>(bytes / known);
  return shape;
}

}  // namespace

JsonObject check_raw(const Args& args) {
  Stopwatch watch;
  Session session(args.model, args.provider, args.threads);
  const double load = watch.lap();
  if (args.raw.empty() && !session.inputs().empty()) {
    throw Error(session.path() + ": the input \"" + session.inputs().front().name + "\" needs --db or --raw");
  }

  std::vector<std::string> contents(args.raw.size());
  std::vector<InputTensor> inputs;
  JsonObject shapes;
  for (size_t i = 0; i < args.raw.size(); ++i) {
    const TensorSpec& spec = session.find_input(args.raw[i].name, args.input.empty() ? "data" : args.input);
    contents[i] = read_file(args.raw[i].file);
    inputs.push_back({spec.name, shape_of(args.raw[i], contents[i].size(), spec), contents[i].data()});
    shapes.add(spec.name, inputs.back().shape);
  }
  Outputs outputs(args, session,
                  args.output.empty() && !args.dumps.empty() ? "" : session.find_output(args.output, "prob").name);

  watch.lap();
  const std::vector<OutputTensor> tensors = session.run(inputs, outputs.names());
  const double run = watch.lap();
  outputs.write(tensors, SIZE_MAX);
  JsonObject found;
  for (size_t i = 0; i < tensors.size(); ++i) found.add(outputs.names()[i], tensors[i].shape);
  return JsonObject()
      .add("model", args.model)
      .add("inputs", shapes)
      .add("outputs", found)
      .add("load_s", load)
      .add("run_s", run)
      .add("provider", args.provider == Provider::kCpu ? "cpu" : "cuda")
      .add("threads", int64_t{args.threads})
      .add("dumps", outputs.commit());
}

}  // namespace onnx_check
