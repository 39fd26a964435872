// SPDX-License-Identifier: MIT
// The engine in one include: load a model, create an engine, chat. Pipelines
// are in tinyphi/pipeline.h.
#ifndef TINYPHI_TINYPHI_H_
#define TINYPHI_TINYPHI_H_

#include "tinyphi/generate/engine.h"
#include "tinyphi/generate/memory_plan.h"
#include "tinyphi/generate/session.h"
#include "tinyphi/model/model.h"
#include "tinyphi/version.h"

#endif  // TINYPHI_TINYPHI_H_
