#include <unistd.h>

#include <cstdio>

#include "check.h"
#include "clock.h"
#include "error.h"
#include "interrupt.h"
#include "loader.h"
#include "metrics.h"
#include "outputs.h"
#include "preprocessing.h"

namespace onnx_check {
namespace {

struct Seconds {
  double load = 0;       // of the model
  double warm_up = 0;    // the first batch, once before it counts: memory is laid out, kernels are chosen
  double read = 0;       // of records, on the loader's thread
  double transform = 0;  // likewise, decoding included
  double wait = 0;       // of the net for the loader
  double run = 0;        // of the net
  double total = 0;      // from the first record to the last score, without the warm-up
};

// A running count for a person who watches.
class Progress {
 public:
  ~Progress() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
  }
  void show(size_t images) {
    if (!watched_) return;
    std::fprintf(stderr, "\r%zu images", images);
    shown_ = true;
  }

 private:
  const bool watched_ = isatty(STDERR_FILENO) != 0;
  bool shown_ = false;
};

// The input must take images, transformed ones in float32 or stored ones in uint8; returns how many at once.
size_t batch_size(const Args& args, const Session& session, const TensorSpec& input) {
  if (!(is_float32(input.type) || is_uint8(input.type)) || input.shape.size() != 4) {
    throw Error(session.path() + ": the input \"" + input.name + "\" is " + element_name(input.type) + " " +
                shape_text(input.shape) + ", expected float32 or uint8 images, NxCxHxW");
  }
  return static_cast<size_t>(input.shape[0] > 0 ? input.shape[0] : args.batch);
}

void check_image(const Session& session, const TensorSpec& input, const Batch& batch) {
  const int64_t sides[] = {batch.shape.channels, batch.shape.height, batch.shape.width};
  for (size_t i = 0; i < 3; ++i) {
    if (input.shape[i + 1] < 0 || input.shape[i + 1] == sides[i]) continue;
    throw Error(session.path() + ": the input \"" + input.name + "\" takes " + shape_text(input.shape) +
                (is_uint8(input.type) ? ", but the stored images are " + batch.shape.text()
                                      : ", but the transformed images are " + batch.shape.text() + " (see --crop)"));
  }
}

// Classes of an output with one row of scores for each image, such as NxC or NxCx1x1.
size_t class_count(const Session& session, const std::string& name, const OutputTensor& scores, size_t rows) {
  const bool good = !scores.shape.empty() && scores.shape[0] == static_cast<int64_t>(rows) && scores.count > 0;
  if (good) return scores.count / rows;
  throw Error(session.path() + ": the output \"" + name + "\" is " + shape_text(scores.shape) + ", expected " +
              std::to_string(rows) + " rows, one for each image");
}

JsonObject report(const Args& args, const Session& session, const Metrics& metrics, const Seconds& seconds) {
  JsonObject metadata;
  for (const auto& [key, value] : session.metadata()) metadata.add(key, value);
  JsonObject json;
  json.add("model", args.model).add("db", args.db);
  json.add("images", static_cast<int64_t>(metrics.images())).add("classes", static_cast<int64_t>(metrics.classes()));
  json.add("top1", metrics.top1()).add("top5", metrics.top5()).add("mean_log_loss", metrics.mean_log_loss());
  json.add("non_finite", static_cast<int64_t>(metrics.non_finite()));
  json.add("images_per_s", static_cast<double>(metrics.images()) / seconds.total);
  json.add("load_s", seconds.load).add("warm_up_s", seconds.warm_up).add("total_s", seconds.total);
  json.add("read_s", seconds.read).add("transform_s", seconds.transform);
  json.add("wait_s", seconds.wait).add("run_s", seconds.run);
  json.add("provider", args.provider == Provider::kCpu ? "cpu" : "cuda").add("threads", int64_t{args.threads});
  json.add("metadata", metadata);
  return json;
}

}  // namespace

JsonObject check_db(const Args& args) {
  Seconds seconds;
  Stopwatch watch;
  Session session(args.model, args.provider, args.threads);
  seconds.load = watch.lap();
  const TensorSpec& input = session.find_input(args.input, "data");
  const std::string judged = session.find_output(args.output, "prob").name;
  const size_t at_once = batch_size(args, session, input);
  const bool fixed_batch = input.shape[0] > 0;
  TransformParam param = choose_transform(args, session, input);
  const bool pixels = param.in_model;
  const JsonObject transform = describe(param);
  auto reader = open_records(args.db);
  if (reader->entries() == 0) throw Error(args.db + ": the database is empty");
  Outputs outputs(args, session, judged);

  Stopwatch total;
  Metrics metrics;
  Progress progress;
  Loader loader(std::move(reader), Transformer(std::move(param)), at_once, static_cast<size_t>(args.limit));
  watch.lap();
  while (std::unique_ptr<Batch> batch = loader.next()) {
    check_interrupts();
    check_image(session, input, *batch);
    seconds.wait += watch.lap();
    const size_t rows = fixed_batch ? at_once : batch->size;  // a smaller last batch runs with what was there before
    const InputTensor images{
        input.name,
        {static_cast<int64_t>(rows), batch->shape.channels, batch->shape.height, batch->shape.width},
        pixels ? static_cast<const void*>(batch->pixels.data()) : batch->data.data()};
    if (metrics.images() == 0) {
      session.run({images}, outputs.names());
      seconds.warm_up = watch.lap();
    }
    const std::vector<OutputTensor> tensors = session.run({images}, outputs.names());
    seconds.run += watch.lap();
    const size_t classes = class_count(session, judged, tensors[0], rows);
    for (size_t i = 0; i < batch->size; ++i) {
      try {
        metrics.add(tensors[0].data + i * classes, classes, batch->labels[i], batch->keys[i]);
      } catch (const Error& error) {
        throw Error(args.db + ": " + error.what());
      }
    }
    outputs.write(tensors, batch->size);
    seconds.read += batch->read_seconds;
    seconds.transform += batch->transform_seconds;
    progress.show(metrics.images());
    loader.recycle(std::move(batch));
    watch.lap();
  }
  seconds.total = total.lap() - seconds.warm_up;
  return report(args, session, metrics, seconds)
      .add("input", input.name)
      .add("output", judged)
      .add("batch", static_cast<int64_t>(at_once))
      .add("transform", transform)
      .add("dumps", outputs.commit());
}

}  // namespace onnx_check
