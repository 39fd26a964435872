// SPDX-License-Identifier: MIT
// The stages that come with tinyphi. A program that wants fewer includes and
// adds them one by one.
#ifndef TINYPHI_PLUGINS_PLUGINS_H_
#define TINYPHI_PLUGINS_PLUGINS_H_

#include "plugins/agent/agent.h"
#include "plugins/approve/approve.h"
#include "plugins/cite_verify/cite_verify.h"
#include "plugins/classify/classify.h"
#include "plugins/extract/extract.h"
#include "plugins/file/file_read.h"
#include "plugins/file/file_write.h"
#include "plugins/generate/generate.h"
#include "plugins/guard_injection/guard_injection.h"
#include "plugins/guard_links/guard_links.h"
#include "plugins/guard_pii/guard_pii.h"
#include "plugins/guard_rules/guard_rules.h"
#include "plugins/guard_stream/guard_stream.h"
#include "plugins/http_fetch/http_fetch.h"
#include "plugins/ingest/ingest.h"
#include "plugins/json_check/json_check.h"
#include "plugins/json_pick/json_pick.h"
#include "plugins/math_eval/math_eval.h"
#include "plugins/mcp/mcp.h"
#include "plugins/memory/memory.h"
#include "plugins/process/process.h"
#include "plugins/prompt/prompt.h"
#include "plugins/retrieve_fts/retrieve_fts.h"
#include "plugins/retrieve_fuse/retrieve_fuse.h"
#include "plugins/table/table_read.h"
#include "plugins/table/table_write.h"
#include "plugins/text/text_clean.h"
#include "plugins/text/text_join.h"
#include "plugins/text/text_split.h"
#include "plugins/text_const/text_const.h"
#include "plugins/time_now/time_now.h"
#include "plugins/tool_pick/tool_pick.h"
#include "tinyphi/pipeline/registry.h"

TINYPHI_NAMESPACE_BEGIN

inline void register_builtin_plugins(registry& r) {
  r.add<agent_stage>();
  r.add<approve_stage>();
  r.add<cite_verify_stage>();
  r.add<file_read_stage>();
  r.add<file_write_stage>();
  r.add<classify_stage>();
  r.add<extract_stage>();
  r.add<generate_stage>();
  r.add<guard_injection_stage>();
  r.add<guard_links_stage>();
  r.add<guard_pii_stage>();
  r.add<guard_rules_stage>();
  r.add<guard_stream_stage>();
  r.add<http_fetch_stage>();
  r.add<ingest_stage>();
  r.add<json_check_stage>();
  r.add<json_pick_stage>();
  r.add<math_eval_stage>();
  r.add<mcp_stage>();
  r.add<memory_stage>();
  r.add<process_stage>();
  r.add<prompt_stage>();
  r.add<retrieve_fts_stage>();
  r.add<retrieve_fuse_stage>();
  r.add<table_read_stage>();
  r.add<table_write_stage>();
  r.add<text_clean_stage>();
  r.add<text_join_stage>();
  r.add<text_split_stage>();
  r.add<text_const_stage>();
  r.add<time_now_stage>();
  r.add<tool_pick_stage>();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PLUGINS_H_
