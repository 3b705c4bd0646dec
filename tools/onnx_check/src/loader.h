// Reads and transforms records on a thread of its own, so that the net need not wait for them.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "record_reader.h"
#include "transform.h"

namespace onnx_check {

/// Images in the order of their keys, `size` times `shape`: transformed to `data`, or, for a net that transforms by
/// itself, as they are stored in `pixels`.
struct Batch {
  ImageShape shape;
  size_t size = 0;
  std::vector<float> data;
  std::vector<unsigned char> pixels;
  std::vector<int> labels;
  std::vector<std::string> keys;
  double read_seconds = 0;       // spent on the records of this batch
  double transform_seconds = 0;  // decoding included
};

class Loader {
 public:
  /// Starts to load batches of `batch_size` until the database ends or `limit` images are read (0: no limit).
  /// All images must have one shape after the transform.
  Loader(std::unique_ptr<RecordReader> reader, Transformer transformer, size_t batch_size, size_t limit);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next batch, the last one possibly smaller, or null at the end. Throws what went wrong while reading.
  std::unique_ptr<Batch> next();

  /// Hands a used batch back, so that its memory serves again.
  void recycle(std::unique_ptr<Batch> batch);

 private:
  // Made ahead of the net: batches of this many bytes, so that small ones bridge a moment without a core for this
  // thread, and two at least.
  static constexpr size_t kAheadBytes = size_t{4} << 20;
  static constexpr size_t kAhead = 2;

  void run();
  bool enough_ready() const;
  bool fill(Batch* batch);

  std::unique_ptr<RecordReader> reader_;
  Transformer transformer_;
  const size_t batch_size_;
  size_t left_;
  ImageShape shape_;  // of the first image, hence of all
  Datum datum_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Batch>> ready_;
  std::deque<std::unique_ptr<Batch>> free_;
  std::exception_ptr error_;
  bool finished_ = false;
  bool stop_ = false;

  std::thread thread_;  // last: it starts when all else exists
};

}  // namespace onnx_check
