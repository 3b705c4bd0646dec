// The program: parses the command line, checks, prints one JSON object, or one line that says what is wrong.
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "check.h"
#include "error.h"
#include "interrupt.h"
#include "text.h"

namespace {

void print(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
    throw onnx_check::Error(onnx_check::with_errno("standard output"));
  }
}

void run(int argc, char** argv) {
  using namespace onnx_check;
  const Args args = parse_args(argc, argv);
  if (args.help) return print(usage());
  if (args.version) {
    return print("onnx_check " ONNX_CHECK_VERSION ", ONNX Runtime " + runtime_version() + " (API " +
                 std::to_string(runtime_api()) + ")\n");
  }
  catch_interrupts();
  JsonObject report = args.db.empty() ? check_raw(args) : check_db(args);
  report.add("version", ONNX_CHECK_VERSION)
      .add("ort_version", runtime_version())
      .add("ort_api", int64_t{runtime_api()});
  print(report.text() + "\n");
}

int fail(const std::exception& error, int code) {
  std::fprintf(stderr, "onnx_check: %s\n", onnx_check::one_line(error.what(), 2000).c_str());
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc, argv);
    return 0;
  } catch (const onnx_check::UsageError& error) {
    return fail(error, 2);
  } catch (const onnx_check::Interrupted& error) {
    return fail(error, error.exit_code);
  } catch (const std::bad_alloc&) {
    return fail(onnx_check::Error("out of memory"), 1);
  } catch (const std::exception& error) {
    return fail(error, 1);
  }
}
