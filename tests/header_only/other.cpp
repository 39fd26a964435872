// SPDX-License-Identifier: MIT
// The second translation unit of a header-only program.
#include "ask.h"

std::string ask_from_other(const char* model_path) { return ask(model_path); }
