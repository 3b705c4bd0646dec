#include "session.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

// The library may be older than the headers, or newer: see api_version().
#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>

#include "error.h"
#include "text.h"

namespace onnx_check {
namespace {

constexpr int kOldestApi = 17;  // the first with SetDeterministicCompute

// Release 1.N of ONNX Runtime knows the interfaces 1 to N, so the smaller N of headers and library is known to both.
int api_version() {
  const std::string version = OrtGetApiBase()->GetVersionString();
  const int library = std::atoi(version.substr(version.find('.') + 1).c_str());
  return std::min<int>(ORT_API_VERSION, library);
}

void init_api() {
  const int version = api_version();
  const OrtApi* api = version < kOldestApi ? nullptr : OrtGetApiBase()->GetApi(static_cast<uint32_t>(version));
  if (api == nullptr) {
    throw Error("ONNX Runtime " + runtime_version() + " is too old; 1." + std::to_string(kOldestApi) +
                " or newer is needed");
  }
  Ort::InitApi(api);
}

void add_cuda(Ort::SessionOptions* options) {
  const OrtApi& api = Ort::GetApi();
  OrtCUDAProviderOptionsV2* raw = nullptr;
  Ort::ThrowOnError(api.CreateCUDAProviderOptions(&raw));
  const std::unique_ptr<OrtCUDAProviderOptionsV2, void (*)(OrtCUDAProviderOptionsV2*)> cuda(
      raw, api.ReleaseCUDAProviderOptions);
  // TF32 keeps 10 bits of each factor: that would be the largest difference of all. A heuristic instead of timing runs
  // picks the same algorithm every time.
  const char* keys[] = {"use_tf32", "cudnn_conv_algo_search"};
  const char* values[] = {"0", "HEURISTIC"};
  Ort::ThrowOnError(api.UpdateCUDAProviderOptions(raw, keys, values, 2));
  options->AppendExecutionProvider_CUDA_V2(*raw);
}

TensorSpec spec(std::string name, const Ort::TypeInfo& info) {
  TensorSpec result;
  result.name = std::move(name);
  if (info.GetONNXType() == ONNX_TYPE_TENSOR) {
    const auto tensor = info.GetTensorTypeAndShapeInfo();
    result.type = tensor.GetElementType();
    result.shape = tensor.GetShape();
  }
  return result;
}

const TensorSpec& find(const std::vector<TensorSpec>& specs, const std::string& name, const std::string& usual,
                       const std::string& what) {
  if (name.empty() && specs.size() == 1) return specs.front();
  std::string names;
  for (const TensorSpec& candidate : specs) {
    if (candidate.name == (name.empty() ? usual : name)) return candidate;
    names += (names.empty() ? "" : ", ") + candidate.name;
  }
  throw Error(what + (name.empty() ? " must be chosen by name" : " \"" + name + "\" does not exist") +
              "; there are: " + one_line(names, 300));
}

}  // namespace

struct Session::Impl {
  Impl(std::string model_path, Provider provider, int threads)
      : path(std::move(model_path)), env(ORT_LOGGING_LEVEL_FATAL, "onnx_check") {
    Ort::SessionOptions options;
    options.SetExecutionMode(ORT_SEQUENTIAL);
    options.SetIntraOpNumThreads(threads);
    options.SetDeterministicCompute(true);
    if (provider == Provider::kCuda) add_cuda(&options);
    session = Ort::Session(env, path.c_str(), options);

    Ort::AllocatorWithDefaultOptions allocator;
    for (size_t i = 0; i < session.GetInputCount(); ++i) {
      inputs.push_back(spec(session.GetInputNameAllocated(i, allocator).get(), session.GetInputTypeInfo(i)));
    }
    for (size_t i = 0; i < session.GetOutputCount(); ++i) {
      outputs.push_back(spec(session.GetOutputNameAllocated(i, allocator).get(), session.GetOutputTypeInfo(i)));
    }
    const Ort::ModelMetadata about = session.GetModelMetadata();
    for (const auto& key : about.GetCustomMetadataMapKeysAllocated(allocator)) {
      metadata[key.get()] = about.LookupCustomMetadataMapAllocated(key.get(), allocator).get();
    }
  }

  std::string path;
  Ort::Env env;
  Ort::Session session{nullptr};
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  std::map<std::string, std::string> metadata;
  std::vector<Ort::Value> results;  // of the last run
};

Session::Session(const std::string& path, Provider provider, int threads) {
  init_api();
  try {
    impl_ = std::make_unique<Impl>(path, provider, threads);
  } catch (const Ort::Exception& error) {
    throw Error(path + ": " + one_line(error.what()));
  }
}

Session::~Session() = default;

const std::string& Session::path() const { return impl_->path; }
const std::vector<TensorSpec>& Session::inputs() const { return impl_->inputs; }
const std::vector<TensorSpec>& Session::outputs() const { return impl_->outputs; }
const std::map<std::string, std::string>& Session::metadata() const { return impl_->metadata; }

const TensorSpec& Session::find_input(const std::string& name, const std::string& usual) const {
  return find(impl_->inputs, name, usual, impl_->path + ": the input");
}

const TensorSpec& Session::find_output(const std::string& name, const std::string& usual) const {
  return find(impl_->outputs, name, usual, impl_->path + ": the output");
}

std::vector<OutputTensor> Session::run(const std::vector<InputTensor>& inputs,
                                       const std::vector<std::string>& outputs) {
  std::vector<const char*> input_names;
  std::vector<const char*> output_names;
  std::vector<Ort::Value> values;
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  for (const InputTensor& input : inputs) {
    const int type = find_input(input.name, "").type;
    size_t bytes = element_size(type);
    for (const int64_t side : input.shape) bytes *= static_cast<size_t>(side);
    input_names.push_back(input.name.c_str());
    values.push_back(Ort::Value::CreateTensor(memory, const_cast<void*>(input.data), bytes, input.shape.data(),
                                              input.shape.size(), static_cast<ONNXTensorElementDataType>(type)));
  }
  for (const std::string& output : outputs) output_names.push_back(output.c_str());
  try {
    impl_->results = impl_->session.Run(Ort::RunOptions{nullptr}, input_names.data(), values.data(), values.size(),
                                        output_names.data(), output_names.size());
  } catch (const Ort::Exception& error) {
    throw Error(impl_->path + ": " + one_line(error.what()));
  }
  std::vector<OutputTensor> tensors;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Ort::Value& value = impl_->results[i];
    const auto about = value.GetTensorTypeAndShapeInfo();
    if (!is_float32(about.GetElementType())) {
      throw Error(impl_->path + ": the output \"" + outputs[i] + "\" is " + element_name(about.GetElementType()) +
                  ", expected float32");
    }
    tensors.push_back({about.GetShape(), value.GetTensorData<float>(), about.GetElementCount()});
  }
  return tensors;
}

size_t element_size(int type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL:
      return 1;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
      return 2;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32:
      return 4;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64:
      return 8;
    default:
      return 0;
  }
}

std::string element_name(int type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
      return "float32";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
      return "uint8";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
      return "float16";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
      return "float64";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
      return "int64";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
      return "int32";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
      return "a string";
    default:
      return "of ONNX's type " + std::to_string(type);
  }
}

bool is_float32(int type) { return type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; }

bool is_uint8(int type) { return type == ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8; }

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t side : shape) text += (text.empty() ? "" : "x") + (side < 0 ? "?" : std::to_string(side));
  return text.empty() ? "()" : text;
}

std::string runtime_version() { return OrtGetApiBase()->GetVersionString(); }

int runtime_api() { return api_version(); }

}  // namespace onnx_check
