#include "decode.h"
#include "error.h"

#ifdef ONNX_CHECK_PNG

#include <csetjmp>
#include <cstring>

#include <png.h>

namespace onnx_check {
namespace {

// As with libjpeg: an error leaves by longjmp, and nothing with a destructor may live in between.
struct ReadState {
  std::string_view file;
  size_t position;
  char message[256];
};

void on_error(png_structp png, png_const_charp text) {
  auto* state = static_cast<ReadState*>(png_get_error_ptr(png));
  std::strncpy(state->message, text, sizeof state->message - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep to, png_size_t size) {
  auto* state = static_cast<ReadState*>(png_get_io_ptr(png));
  if (size > state->file.size() - state->position) png_error(png, "cut off");
  std::memcpy(to, state->file.data() + state->position, size);
  state->position += size;
}

// The transformations with which OpenCV asks for 8-bit grey, BGR or BGRA.
void choose_output(png_structp png, png_infop info, Color color) {
  const int type = png_get_color_type(png, info);
  const bool has_color = (type & PNG_COLOR_MASK_COLOR) != 0;
  const bool has_alpha = (type & PNG_COLOR_MASK_ALPHA) != 0;
  const bool transparent_palette = type == PNG_COLOR_TYPE_PALETTE && png_get_valid(png, info, PNG_INFO_tRNS) != 0;
  if (png_get_bit_depth(png, info) == 16) {
    if (color == Color::kNative) png_error(png, "16 bits a sample, where Caffe takes 8");
    png_set_strip_16(png);
  }
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (!has_color && png_get_bit_depth(png, info) < 8) png_set_expand_gray_1_2_4_to_8(png);
  const bool keep_alpha = color == Color::kNative && (has_alpha || transparent_palette);
  if (keep_alpha && transparent_palette) png_set_tRNS_to_alpha(png);
  if (!keep_alpha) png_set_strip_alpha(png);
  if (color == Color::kGray) {
    if (has_color) png_set_rgb_to_gray(png, PNG_ERROR_ACTION_NONE, 0.299, 0.587);
  } else if (has_color || keep_alpha || color == Color::kColor) {
    png_set_gray_to_rgb(png);
    png_set_bgr(png);
  }
}

bool decode(Color color, Pixels* pixels, std::vector<unsigned char>* image, ReadState* state) {
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, state, on_error, on_warning);
  if (png == nullptr) return false;
  png_infop info = png_create_info_struct(png);
  if (info == nullptr || setjmp(png_jmpbuf(png)) != 0) {
    png_destroy_read_struct(&png, &info, nullptr);
    return false;
  }
  png_set_read_fn(png, state, read_bytes);
  png_read_info(png, info);
  choose_output(png, info, color);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  pixels->resize({png_get_channels(png, info), static_cast<int>(png_get_image_height(png, info)),
                  static_cast<int>(png_get_image_width(png, info))});
  const size_t stride = png_get_rowbytes(png, info);
  image->resize(stride * static_cast<size_t>(pixels->shape.height));
  for (int pass = 0; pass < passes; ++pass) {
    for (int y = 0; y < pixels->shape.height; ++y) {
      png_read_row(png, image->data() + static_cast<size_t>(y) * stride, nullptr);
    }
  }
  png_read_end(png, nullptr);
  png_destroy_read_struct(&png, &info, nullptr);
  for (int y = 0; y < pixels->shape.height; ++y) pixels->set_row(y, image->data() + static_cast<size_t>(y) * stride);
  return true;
}

}  // namespace

void decode_png(std::string_view file, Color color, Pixels* pixels) {
  std::vector<unsigned char> image;
  ReadState state{file, 0, "out of memory"};
  if (!decode(color, pixels, &image, &state))
    throw Error(std::string("a PNG that cannot be decoded: ") + state.message);
}

}  // namespace onnx_check

#else

namespace onnx_check {

void decode_png(std::string_view, Color, Pixels*) {
  throw Error("a PNG, which this build cannot decode: build onnx_check where libpng's headers are installed");
}

}  // namespace onnx_check

#endif
