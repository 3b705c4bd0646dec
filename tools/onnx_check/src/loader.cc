#include "loader.h"

#include <limits>

#include "clock.h"
#include "damage_guard.h"
#include "error.h"
#include "text.h"

namespace onnx_check {

Loader::Loader(std::unique_ptr<RecordReader> reader, Transformer transformer, size_t batch_size, size_t limit)
    : reader_(std::move(reader)),
      transformer_(std::move(transformer)),
      batch_size_(batch_size),
      left_(limit == 0 ? std::numeric_limits<size_t>::max() : limit),
      thread_([this] { run(); }) {}

Loader::~Loader() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::unique_ptr<Batch> Loader::next() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return !ready_.empty() || finished_; });
  if (ready_.empty()) {
    if (error_) std::rethrow_exception(error_);
    return nullptr;
  }
  std::unique_ptr<Batch> batch = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return batch;
}

void Loader::recycle(std::unique_ptr<Batch> batch) {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(std::move(batch));
}

void Loader::run() {
  try {
    for (bool more = true; more;) {
      std::unique_ptr<Batch> batch;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return !enough_ready() || stop_; });
        if (stop_) break;
        if (!free_.empty()) {
          batch = std::move(free_.front());
          free_.pop_front();
        }
      }
      if (!batch) batch = std::make_unique<Batch>();
      more = fill(batch.get());
      const std::lock_guard<std::mutex> lock(mutex_);
      if (batch->size > 0) ready_.push_back(std::move(batch));
      changed_.notify_all();
    }
  } catch (...) {
    const std::lock_guard<std::mutex> lock(mutex_);
    error_ = std::current_exception();
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  finished_ = true;
  changed_.notify_all();
}

bool Loader::enough_ready() const {
  if (ready_.size() < kAhead) return false;
  const Batch& batch = *ready_.front();  // all are of one size
  return ready_.size() * (batch.data.size() * sizeof(float) + batch.pixels.size()) >= kAheadBytes;
}

// Fills a batch; false when there is nothing left behind it.
bool Loader::fill(Batch* batch) {
  batch->size = 0;
  batch->labels.clear();
  batch->keys.clear();
  batch->read_seconds = batch->transform_seconds = 0;
  while (batch->size < batch_size_) {
    if (left_ == 0) return false;
    Stopwatch watch;
    const DamageGuard guard(reader_->damage_line());
    Record record;
    if (!reader_->next(&record)) return false;
    batch->keys.emplace_back(record.key);
    try {
      parse_datum(record.value, &datum_);
      batch->read_seconds += watch.lap();
      const ImageShape shape = transformer_.prepare(datum_);
      if (shape_.channels == 0) shape_ = shape;
      if (shape != shape_) {
        throw Error("an image of " + shape.text() + ", where those before it were " + shape_.text());
      }
      batch->shape = shape;
      if (transformer_.in_model()) {
        batch->pixels.resize(batch_size_ * shape.count());
        transformer_.copy(batch->pixels.data() + batch->size * shape.count());
      } else {
        batch->data.resize(batch_size_ * shape.count());
        transformer_.apply(batch->data.data() + batch->size * shape.count());
      }
    } catch (const Error& error) {
      throw Error(reader_->path() + ": record " + one_line(batch->keys.back(), 100) + ": " + error.what());
    }
    batch->labels.push_back(record.label.value_or(datum_.label));
    batch->transform_seconds += watch.lap();
    ++batch->size;
    --left_;
  }
  return true;
}

}  // namespace onnx_check
