#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks what the file tree promises and a compiler does not see.

Usage: check_layers.py [ROOT]

Include edges go down the layers only, each third-party library stays where it
belongs, every header has a test of its name and stands in include/meson.build,
and files have their SPDX line, their include guard and a readable length.
Prints "file:line: what is wrong" and exits with 1 if there is anything.
"""

import pathlib
import re
import sys

# What a layer may include besides itself.
LAYERS = {
    "base": set(),
    "tensor": {"base"},
    "kernels": {"base", "tensor"},
    "files": {"base", "tensor"},
    "text": {"base"},
    "schema": {"base"},
    "model": {"base", "tensor", "kernels", "files", "text"},
    "constrain": {"base", "text", "schema"},
    "generate": {"base", "tensor", "text", "schema", "constrain", "model"},
    "pipeline": {"base", "text", "schema", "constrain", "generate"},
    "plugins": {"base", "text", "schema", "constrain", "generate", "pipeline"},
    "serve": {"base", "files", "text", "schema", "constrain", "model", "generate", "pipeline"},
}

# Third-party headers and the only files that may include them.
LIBRARIES = {
    r"hwy/": r"include/tinyphi/kernels/",
    r"(tbb|oneapi)/": r"include/tinyphi/base/parallel\.",
    r"toml\+\+/": r"include/tinyphi/pipeline/toml_file\.ipp",
    r"boost/": r"include/tinyphi/(base/json\.|schema/json_tree\.ipp|pipeline/|serve/)|plugins/",
    r"utf8proc\.h": r"include/tinyphi/(text/|schema/regex_syntax\.ipp|pipeline/expression/)|plugins/",
    r"sqlite3": r"plugins/",
    r"re2/": r"include/tinyphi/pipeline/regex\.h",
    r"(openssl/|boost/asio/ssl)": r"plugins/http_fetch/tls\.h",
    r"seccomp\.h": r"include/tinyphi/serve/sandbox\.ipp",
}

# Headers without a test of their own, and what tests them.
UNTESTED = {
    "plugins/tool_pick/tool_pick.h": "plugins/agent",
    "include/tinyphi/config.h": "tests/header_only",
    "include/tinyphi/version.h": "the command line's --version",
    "include/tinyphi/tinyphi.h": "tests/header_only",
    "include/tinyphi/pipeline.h": "tests/header_only",
    "include/tinyphi/base/cgroup.h": "memory, parallel",
    "include/tinyphi/base/landlock.h": "serve/sandbox, plugins/process",
    "include/tinyphi/base/unique_fd.h": "mapped_file, plugins/process",
    "include/tinyphi/constrain/byte_set.h": "byte_automaton",
    "include/tinyphi/constrain/grammar_walk.h": "matcher",
    "include/tinyphi/constrain/json_rules.h": "schema_grammar",
    "include/tinyphi/constrain/rule_automaton.h": "grammar, matcher",
    "include/tinyphi/constrain/schema_objects.h": "schema_grammar",
    "include/tinyphi/constrain/schema_shape.h": "schema_grammar",
    "include/tinyphi/constrain/state_tokens.h": "matcher",
    "include/tinyphi/constrain/utf8_ranges.h": "byte_automaton",
    "include/tinyphi/files/tensor_table.h": "gguf, safetensors",
    "include/tinyphi/generate/planned_step.h": "step_plan, fair_shares",
    "include/tinyphi/generate/request.h": "scheduler, engine",
    "include/tinyphi/generate/sequence.h": "scheduler",
    "include/tinyphi/kernels/reference.h": "all tests of kernels",
    "include/tinyphi/kernels/reference_attention.h": "attention",
    "include/tinyphi/model/layers.h": "model",
    "include/tinyphi/model/load_options.h": "model",
    "include/tinyphi/model/scratch_array.h": "layers, tests of memory",
    "include/tinyphi/model/weight_plan.h": "weights",
    "include/tinyphi/pipeline/approval.h": "plugins/approve",
    "include/tinyphi/pipeline/cancel_watch.h": "executor, limits",
    "include/tinyphi/pipeline/clock.h": "file_tests",
    "include/tinyphi/pipeline/tool.h": "plugins/agent",
    "include/tinyphi/pipeline/type_schema.h": "serve/mcp_tool, plugins/agent",
    "include/tinyphi/pipeline/config_node.h": "registry, spec",
    "include/tinyphi/pipeline/config_reader.h": "spec, daemon_config",
    "include/tinyphi/pipeline/describe.h": "compile, tests/cli",
    "include/tinyphi/pipeline/effect.h": "plugins/approve, compile",
    "include/tinyphi/pipeline/expression/checker.h": "expression",
    "include/tinyphi/pipeline/expression/expression.h": "expression",
    "include/tinyphi/pipeline/expression/syntax.h": "expression",
    "include/tinyphi/pipeline/graph.h": "compile, executor",
    "include/tinyphi/pipeline/host.h": "registry, compile",
    "include/tinyphi/pipeline/named_types.h": "spec, types",
    "include/tinyphi/pipeline/param.h": "registry",
    "include/tinyphi/pipeline/param_types.h": "registry",
    "include/tinyphi/pipeline/passes/compilation.h": "compile, language",
    "include/tinyphi/pipeline/pipeline.h": "executor",
    "include/tinyphi/pipeline/request_queue.h": "limits",
    "include/tinyphi/pipeline/regex.h": "expression, plugins/guard",
    "include/tinyphi/pipeline/run_context.h": "trace, executor",
    "include/tinyphi/pipeline/spec_reader.h": "spec",
    "include/tinyphi/pipeline/stage.h": "registry, executor",
    "include/tinyphi/pipeline/testing/recorded.h": "trace_file, recorded_tests",
    "include/tinyphi/pipeline/testing/run_tests.h": "file_tests",
    "include/tinyphi/pipeline/testing/snapshot.h": "recorded_tests",
    "include/tinyphi/pipeline/testing/test_case.h": "file_tests",
    "include/tinyphi/pipeline/network_host.h": "spec, plugins/http_fetch",
    "include/tinyphi/pipeline/text_stream.h": "registry, executor",
    "include/tinyphi/pipeline/toml_file.h": "spec, key_file",
    "include/tinyphi/pipeline/record.h": "type",
    "include/tinyphi/pipeline/value.h": "type",
    "include/tinyphi/pipeline/value_ledger.h": "limits",
    "include/tinyphi/pipeline/value_check.h": "schema_type",
    "include/tinyphi/serve/answer_request.h": "tests of requests",
    "include/tinyphi/serve/answer_start.h": "serve_answer",
    "include/tinyphi/serve/approval_file.h": "approvals_test.py",
    "include/tinyphi/serve/approval_routes.h": "approvals_test.py",
    "include/tinyphi/serve/approvals.h": "approvals_test.py",
    "include/tinyphi/serve/daemon.h": "daemon_test.py",
    "include/tinyphi/serve/daemon_paths.h": "daemon_test.py",
    "include/tinyphi/serve/daemon_program.h": "daemon_test.py",
    "include/tinyphi/serve/dialect.h": "dialects",
    "include/tinyphi/serve/followed_run.h": "approvals_test.py, daemon_test.py",
    "include/tinyphi/serve/listening_socket.h": "daemon_test.py",
    "include/tinyphi/serve/hex_text.h": "http_rules, approvals_test.py",
    "include/tinyphi/base/mcp_message.h": "mcp_session, client_session, mcp_routes_test.py",
    "include/tinyphi/serve/mcp_routes.h": "mcp_routes_test.py",
    "include/tinyphi/serve/model_routes.h": "daemon_test.py",
    "include/tinyphi/serve/native_completion.h": "dialects",
    "include/tinyphi/serve/ollama_routes.h": "daemon_test.py",
    "include/tinyphi/serve/ollama_table.h": "ollama",
    "include/tinyphi/serve/on_pool.h": "approvals_test.py, triggers_test.py",
    "include/tinyphi/serve/openai_chat.h": "dialects",
    "include/tinyphi/serve/openai_completions.h": "dialects",
    "include/tinyphi/serve/responses_table.h": "openai_responses",
    "include/tinyphi/serve/ops_routes.h": "daemon_test.py",
    "include/tinyphi/serve/pipeline_routes.h": "daemon_test.py",
    "include/tinyphi/serve/served_pipeline.h": "daemon_test.py",
    "include/tinyphi/serve/respond.h": "daemon_test.py",
    "include/tinyphi/serve/served_set.h": "reload_test.py",
    "include/tinyphi/serve/trigger_runner.h": "triggers_test.py",
    "include/tinyphi/serve/server_state.h": "daemon_test.py",
    "include/tinyphi/serve/text_routes.h": "daemon_test.py",
    "include/tinyphi/serve/exposition.h": "metrics",
    "include/tinyphi/serve/progress_signal.h": "serve_answer",
    "include/tinyphi/serve/running_requests.h": "serve_answer",
    "include/tinyphi/serve/chat_table.h": "fields",
    "include/tinyphi/serve/shared_fields.h": "fields",
    "include/tinyphi/serve/random_bits.h": "http_rules, parse_request",
    "include/tinyphi/serve/request_tables.h": "parse_request",
    "include/tinyphi/serve/served_model.h": "serve_answer",
    "include/tinyphi/serve/caller.h": "keys",
    "include/tinyphi/serve/utc_time.h": "ollama",
    "include/tinyphi/serve/serve_table_reader.h": "daemon_config",
    "include/tinyphi/serve/listen_address.h": "daemon_config",
    "include/tinyphi/serve/answer_tools.h": "parse_request, tests/serve/tools_test.py",
    "include/tinyphi/serve/connection_socket.h": "http_server",
    "include/tinyphi/serve/http_exchange.h": "tests of connections",
    "include/tinyphi/text/tokenizer_tables.h": "tokenizer",
    "include/tinyphi/text/unicode.h": "tokenizer",
    "include/tinyphi/text/vocabulary.h": "tokenizer",
    "include/tinyphi/pipeline/file_schema.h": "tests/cli/schema_test.py",
    "include/tinyphi/pipeline/key_rows.h": "tests/cli/schema_test.py",
    "include/tinyphi/pipeline/keys.h": "tests/cli/schema_test.py",
    "include/tinyphi/pipeline/param_describe.h": "registry, tests/cli/schema_test.py",
    "plugins/generate/generate.h": "tests/docs_qa",
    "plugins/ingest/ingest.h": "tests/docs_qa",
    "plugins/plugins.h": "tests/docs_qa",
    "plugins/sqlite/checked_file.h": "plugins/fts, plugins/memory",
    "plugins/sqlite/database.h": "plugins/fts, plugins/memory",
    "plugins/sqlite/fts5_tokenizer.h": "plugins/fts/search_test.cpp",
}

# Most are far below; what comes near should be split.
MAX_LINES = {".h": 430, ".ipp": 550, "-inl.h": 200}
NON_ASCII = set("▁")  # SentencePiece's space
INCLUDE = re.compile(r'\s*#\s*include\s*["<]([^">]+)[">]')


def kind(path):
    return "-inl.h" if path.name.endswith("-inl.h") else path.suffix


def layer_of(relative):
    parts = pathlib.PurePath(relative).parts
    if parts[0] == "plugins":
        return "plugins"
    if parts[:2] == ("include", "tinyphi") and len(parts) > 3:
        return parts[2]
    return None


def included_layer(name):
    parts = pathlib.PurePath(name).parts
    if parts[0] == "plugins":
        return "plugins"
    if parts[0] == "tinyphi" and len(parts) > 2:
        return parts[1]
    return None


def check_includes(relative, lines):
    layer = layer_of(relative)
    for number, line in enumerate(lines, 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        name = found[1]
        for library, home in LIBRARIES.items():
            if re.match(library, name) and not re.match(home, relative):
                yield number, f"<{name}> may be included only in {home}"
        other = included_layer(name)
        if layer is None or other is None or other == layer:
            continue
        if other not in LAYERS[layer]:
            allowed = ", ".join(sorted(LAYERS[layer])) or "no other layer"
            yield number, f"{layer} includes {name}; it may include {allowed}"


def check_form(path, relative, lines):
    if not lines or "SPDX-License-Identifier: MIT" not in lines[0]:
        yield 1, "the first line is not the SPDX line"
    for number, line in enumerate(lines, 1):
        if odd := {c for c in line if ord(c) > 126} - NON_ASCII:
            yield number, f"not ASCII: {' '.join(sorted(odd))}"
    limit = MAX_LINES.get(kind(path), 1000)
    if len(lines) > limit:
        yield limit, f"{len(lines)} lines, at most {limit} are allowed"
    if path.suffix == ".h" and kind(path) != "-inl.h":
        stem = relative.removeprefix("include/")
        guard = re.sub(r"[^A-Za-z0-9]", "_", stem).upper() + "_"
        if guard.startswith("PLUGINS_"):
            guard = "TINYPHI_" + guard
        if f"#ifndef {guard}" not in lines:
            yield 1, f"the include guard is not {guard}"


def check_listed(root, relative, path, listed):
    """Headers are installed, tested alone and tested by name."""
    if relative.startswith("include/"):
        if f"'{relative.removeprefix('include/')}'" not in listed:
            yield 1, "not listed in include/meson.build"
    if path.suffix != ".h" or kind(path) == "-inl.h" or relative in UNTESTED:
        return
    if relative.startswith("plugins/"):
        if not any(path.parent.glob("*_test.cpp")):
            yield 1, "no test in this folder"
        return
    test = root / "tests" / relative.removeprefix("include/tinyphi/")
    test = test.with_name(path.stem + "_test.cpp")
    if not test.exists():
        yield 1, f"has no test {test.relative_to(root)}"


def main():
    here = pathlib.Path(__file__).resolve().parent.parent
    root = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else here
    listed = (root / "include/meson.build").read_text(encoding="utf-8")
    faults = 0
    for folder in ("include", "plugins"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".h", ".ipp", ".cpp"):
                continue
            relative = path.relative_to(root).as_posix()
            lines = path.read_text(encoding="utf-8").splitlines()
            found = [*check_includes(relative, lines),
                     *check_form(path, relative, lines)]
            if not path.name.endswith("_test.cpp"):
                found += check_listed(root, relative, path, listed)
            for number, what in found:
                print(f"{relative}:{number}: {what}")
            faults += len(found)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
