// SPDX-License-Identifier: MIT
// Pipelines in one include: compile a file, run it, add stages of your own.
#ifndef TINYPHI_PIPELINE_H_
#define TINYPHI_PIPELINE_H_

#include "tinyphi/pipeline/pipeline.h"
#include "tinyphi/pipeline/registry.h"
#include "tinyphi/pipeline/stage.h"

#endif  // TINYPHI_PIPELINE_H_
