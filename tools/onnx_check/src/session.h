// One ONNX model in ONNX Runtime. Nothing outside session.cc knows the runtime's own types.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace onnx_check {

enum class Provider { kCpu, kCuda };

/// An input or output as the model declares it.
struct TensorSpec {
  std::string name;
  int type = 0;                // ONNXTensorElementDataType
  std::vector<int64_t> shape;  // -1: any size
  bool operator==(const TensorSpec& other) const { return name == other.name; }
};

/// Memory to feed to the input `name`: row-major values of the type that the model declares.
struct InputTensor {
  std::string name;
  std::vector<int64_t> shape;
  const void* data = nullptr;
};

/// What came out: float32, row-major, valid until the next run.
struct OutputTensor {
  std::vector<int64_t> shape;
  const float* data = nullptr;
  size_t count = 0;
};

class Session {
 public:
  /// Loads the model with the runtime's default graph optimisation, operators one after the other on `threads` threads
  /// (0: one for each core), and TF32 off on CUDA. Throws Error, naming the file, when the runtime refuses it.
  Session(const std::string& path, Provider provider, int threads);
  ~Session();

  const std::string& path() const;
  const std::vector<TensorSpec>& inputs() const;
  const std::vector<TensorSpec>& outputs() const;
  const std::map<std::string, std::string>& metadata() const;

  /// The input or output of that name; without a name the only one, or of several the one called `usual`. Throws Error,
  /// listing what there is.
  const TensorSpec& find_input(const std::string& name, const std::string& usual) const;
  const TensorSpec& find_output(const std::string& name, const std::string& usual) const;

  /// Runs the net once. Throws Error when the runtime fails or an output is not float32.
  std::vector<OutputTensor> run(const std::vector<InputTensor>& inputs, const std::vector<std::string>& outputs);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The size in bytes of one element of that type, 0 for types that have none (strings), and the type's name.
size_t element_size(int type);
std::string element_name(int type);
bool is_float32(int type);
bool is_uint8(int type);

/// Sides like 4x3x2, with ? for any size.
std::string shape_text(const std::vector<int64_t>& shape);

/// The version of the runtime's library, and the version of its interface that library and program share.
std::string runtime_version();
int runtime_api();

}  // namespace onnx_check
