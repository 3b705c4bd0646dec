// Ctrl-C and polite kills end the program between two batches, so that no half-written file stays behind.
#pragma once

namespace onnx_check {

/// From now on SIGINT and SIGTERM are remembered; a second one ends the program at once.
void catch_interrupts();

/// Throws Interrupted if one has come.
void check_interrupts();

}  // namespace onnx_check
