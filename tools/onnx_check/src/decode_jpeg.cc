#include "decode.h"
#include "error.h"

#ifdef ONNX_CHECK_JPEG

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it and does not include it
#include <utility>

#include <jerror.h>
#include <jpeglib.h>

namespace onnx_check {
namespace {

// libjpeg is C: an error leaves it by longjmp, so nothing with a destructor may live between setjmp and that jump.
struct ErrorState {
  jpeg_error_mgr base;  // first, so that the library's pointer to it is a pointer to this
  std::jmp_buf leave;
  char message[JMSG_LENGTH_MAX];
};

void on_error(j_common_ptr info) {
  auto* state = reinterpret_cast<ErrorState*>(info->err);
  info->err->format_message(info, state->message);
  std::longjmp(state->leave, 1);
}

// Warnings are common in old photographs and harmless, but for one: a file cut off would be filled up with grey.
void on_message(j_common_ptr info, int level) {
  if (level < 0 && info->err->msg_code == JWRN_JPEG_EOF) on_error(info);
}

bool decode(std::string_view file, Color color, Pixels* pixels, std::vector<unsigned char>* row, ErrorState* state) {
  jpeg_decompress_struct info;
  info.err = jpeg_std_error(&state->base);
  state->base.error_exit = on_error;
  state->base.emit_message = on_message;
  if (setjmp(state->leave) != 0) {
    jpeg_destroy_decompress(&info);
    return false;
  }
  jpeg_create_decompress(&info);
  // Older releases of libjpeg take a pointer to non-const here, and do not write through it.
  auto* bytes = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(file.data()));
  jpeg_mem_src(&info, bytes, static_cast<unsigned long>(file.size()));
  jpeg_read_header(&info, TRUE);
  const bool gray = color == Color::kGray || (color == Color::kNative && info.num_components == 1);
  info.out_color_space = gray ? JCS_GRAYSCALE : JCS_RGB;  // CMYK cannot be had so: the library's error says it
  jpeg_start_decompress(&info);
  pixels->resize({info.output_components, static_cast<int>(info.output_height), static_cast<int>(info.output_width)});
  row->resize(static_cast<size_t>(info.output_width) * static_cast<size_t>(info.output_components));
  while (info.output_scanline < info.output_height) {
    const int y = static_cast<int>(info.output_scanline);
    unsigned char* samples = row->data();
    jpeg_read_scanlines(&info, &samples, 1);
    if (!gray) {
      for (size_t i = 0; i < row->size(); i += 3) std::swap(samples[i], samples[i + 2]);
    }
    pixels->set_row(y, samples);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return true;
}

}  // namespace

void decode_jpeg(std::string_view file, Color color, Pixels* pixels) {
  std::vector<unsigned char> row;
  ErrorState state;
  if (!decode(file, color, pixels, &row, &state))
    throw Error(std::string("a JPEG that cannot be decoded: ") + state.message);
}

}  // namespace onnx_check

#else

namespace onnx_check {

void decode_jpeg(std::string_view, Color, Pixels*) {
  throw Error("a JPEG, which this build cannot decode: build onnx_check where libjpeg's headers are installed");
}

}  // namespace onnx_check

#endif
