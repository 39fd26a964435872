// SPDX-License-Identifier: MIT
#include "tinyphi/serve/daemon_config.h"

#include <algorithm>

#include "support/test.h"

namespace {

using std::chrono::milliseconds;
using tinyphi::daemon_config;
using tinyphi::diagnostic;

std::string faults_of(std::string_view text) {
  std::vector<diagnostic> faults;
  const auto config = read_daemon_config(text, "/etc/t/d.toml", faults);
  CHECK(config.has_value() == faults.empty());
  return to_string(faults, "d.toml");
}

daemon_config config_of(std::string_view text) {
  std::vector<diagnostic> faults;
  auto config = tinyphi::read_daemon_config(text, "/etc/t/d.toml", faults);
  INFO(to_string(faults, "d.toml"));
  REQUIRE(config.has_value());
  return *std::move(config);
}

// Lines 1 and 2; `extra` begins in line 3.
std::string with(const std::string& extra) {
  return "tinyphi = 1\nmodel.phi = {}\n" + extra + "\n";
}

}  // namespace

TEST_CASE("the smallest file serves the built-in model on loopback") {
  const daemon_config c = config_of(with(""));
  REQUIRE(c.listen.size() == 1);
  CHECK(to_string(c.listen[0]) == "127.0.0.1:8484");
  CHECK(c.keys.empty());
  CHECK(c.itl_target == milliseconds(250));
  CHECK(c.drain == milliseconds(60'000));
  CHECK(c.queue_deadline == milliseconds(30'000));
  CHECK(c.first_token_deadline == milliseconds(120'000));
  CHECK(c.total_deadline == milliseconds(600'000));
  CHECK(c.max_body == 1 << 20);
  CHECK(c.hosts == std::vector<std::string>{"localhost", "127.0.0.1", "[::1]"});
  CHECK(c.cache_folder.empty());
  CHECK_FALSE(c.ollama);
  CHECK_FALSE(c.vllm_metrics);
  CHECK_FALSE(c.open_metrics);
  REQUIRE(c.models.size() == 1);
  CHECK(c.models[0].id == "phi");
  CHECK(c.models[0].path.empty());
  const tinyphi::engine_options defaults;
  const auto options = to_engine_options(c, c.models[0]);
  CHECK(options.max_sequences == defaults.max_sequences);
  CHECK(options.max_waiting == defaults.max_waiting);
  CHECK(options.gap_ms == defaults.gap_ms);
  CHECK(options.prefix_cache);
  CHECK(options.cache_folder.empty());
  CHECK(options.swap_folder.empty());
}

TEST_CASE("every key of the file is read") {
  const daemon_config c = config_of(R"(tinyphi = 1
[serve]
listen = ["systemd", "unix:run/api.sock", "[::1]:8484", "0.0.0.0:80"]
keys = "credential:keys"
memory = "3GiB"
itl_target = "100ms"
drain = "2m"
hosts = ["tinyphi.lan", "[fe80::1]"]
origins = ["https://chat.example", "http://localhost:3000"]
approvals = "asks"
plain_http = "I know"
max_body = "64KiB"
[serve.deadline]
queue = "10s"
first_token = "20s"
total = "1h"
[serve.cache]
folder = "cache"
pin = "512MiB"
persist = "2GiB"
swap = "0MiB"
[serve.metrics]
compat = ["vllm", "llamacpp"]
open = true
[serve.sandbox]
enabled = false
read = ["docs", "/srv/texts"]
write = ["/var/lib/index"]
[serve.ollama]
[model."phi-3.5"]
path = "m/phi.gguf"
aliases = ["gpt-3.5-turbo", "*"]
threads = 2
sequences = 8
context = 2048
queue = 32
kv = "int8-int4"
kv_memory = "1GiB"
quantize = "q4_0"
exact = true
fast_prefill = true
cache_repacked = true
prefix_cache = false
seed = 9223372036854775807
[pipeline.docs-qa]
path = "/srv/docs.toml"
chat_input = "question"
chat_output = "answer"
)");
  REQUIRE(c.listen.size() == 4);
  CHECK(c.listen[0].kind == tinyphi::listen_kind::systemd);
  CHECK(c.listen[1].path == "/etc/t/run/api.sock");
  CHECK(to_string(c.listen[2]) == "[::1]:8484");
  CHECK(c.listen[3].host == "0.0.0.0");
  CHECK(c.listen[3].port == 80);
  CHECK(c.keys == "credential:keys");
  CHECK(c.memory == std::uint64_t{3} << 30);
  CHECK(c.itl_target == milliseconds(100));
  CHECK(c.drain == milliseconds(120'000));
  CHECK(c.hosts == std::vector<std::string>{"tinyphi.lan", "[fe80::1]"});
  CHECK(c.origins.size() == 2);
  CHECK(c.approvals == "/etc/t/asks");
  CHECK(c.plain_http_known);
  CHECK(c.max_body == 65536);
  CHECK(c.queue_deadline == milliseconds(10'000));
  CHECK(c.first_token_deadline == milliseconds(20'000));
  CHECK(c.total_deadline == milliseconds(3'600'000));
  CHECK(c.cache_folder == "/etc/t/cache");
  CHECK(c.pin == std::uint64_t{512} << 20);
  CHECK(c.vllm_metrics);
  CHECK(c.llamacpp_metrics);
  CHECK(c.open_metrics);
  CHECK_FALSE(c.sandbox);
  using paths = std::vector<std::filesystem::path>;
  CHECK(c.sandbox_read == paths{"/etc/t/docs", "/srv/texts"});
  CHECK(c.sandbox_write == paths{"/var/lib/index"});
  CHECK(c.ollama);
  REQUIRE(c.models.size() == 1);
  const tinyphi::model_entry& m = c.models[0];
  CHECK(m.id == "phi-3.5");
  CHECK(m.path == "/etc/t/m/phi.gguf");
  CHECK(m.aliases == std::vector<std::string>{"gpt-3.5-turbo", "*"});
  CHECK(m.seed == 9223372036854775807U);
  const auto load = to_load_options(m);
  CHECK(load.exact);
  CHECK(load.fast_prefill);
  CHECK(load.cache_repacked);
  CHECK(load.n_threads == 2);
  CHECK(load.quantize == tinyphi::dtype::q4_0);
  const auto engine = to_engine_options(c, m);
  CHECK(engine.n_threads == 2);
  CHECK(engine.kv_bytes == std::size_t{1} << 30);
  CHECK(engine.cache_type == tinyphi::kv_type::int8_int4);
  CHECK(engine.max_sequences == 8);
  CHECK(load.context == 2048);
  CHECK(engine.max_waiting == 32);
  CHECK(engine.gap_ms == 100);
  CHECK_FALSE(engine.prefix_cache);
  CHECK(engine.cache_folder == "/etc/t/cache");
  CHECK(engine.cache_folder_bytes == std::size_t{2} << 30);
  CHECK(engine.swap_folder.empty());
  REQUIRE(c.pipelines.size() == 1);
  CHECK(c.pipelines[0].name == "docs-qa");
  CHECK(c.pipelines[0].path == "/srv/docs.toml");
  CHECK(c.pipelines[0].chat_input == "question");
  CHECK(c.pipelines[0].chat_output == "answer");
}

TEST_CASE("every rule of the daemon's file is checked where it is broken") {
  struct broken {
    std::string text;
    std::string faults;
  };
  const auto serve = [](const std::string& line) {
    return with("[serve]\n" + line);
  };
  const auto model = [](const std::string& line) {
    return "tinyphi = 1\n[model.phi]\n" + line + "\n";
  };
  const broken all[] = {
      {"tinyphi = 1\n", "d.toml: error[TP6004]: the file has no [model.ID]"},
      {"tinyphi = 1\nmodel = {}\npipeline = {}\n",
       "d.toml: error[TP6004]: the file has no [model.ID]"},
      {"model.phi = {}\n",
       "d.toml:1:1: error[TP1006]: the file must say 'tinyphi = 1'"},
      {with("[server]"),
       "d.toml:3:2: error[TP1002]: unknown key 'server'; did you mean "
       "'serve'?"},
      {with("serve = 1"),
       "d.toml:3:9: error[TP1004]: [serve] is an integer, not a table"},
      {serve("lisen = [\"127.0.0.1:1\"]"),
       "d.toml:4:1: error[TP1002]: [serve]: unknown key 'lisen'; did you mean "
       "'listen'?"},
      {serve("[[serve.pipelines]]\ndir = \"x\""),
       "d.toml:4:9: error[TP1008]: [serve]: 'pipelines' is not supported yet"},
      {serve("listen = []"),
       "d.toml:4:10: error[TP1005]: [serve]: listen is empty"},
      {serve("listen = \"127.0.0.1:1\""),
       "d.toml:4:10: error[TP1004]: [serve]: listen is a string, it must be a "
       "list of strings"},
      {serve("listen = [\"localhost\"]"),
       "d.toml:4:11: error[TP6001]: [serve]: listen: 'localhost' is no address "
       "to listen on: give 127.0.0.1:PORT"},
      {serve("listen = [\"tinyphi.lan:80\"]"),
       "d.toml:4:11: error[TP6001]: [serve]: listen: 'tinyphi.lan:80' is no "
       "address to listen on: the address must be numeric"},
      {serve("listen = [\"::1:80\"]"),
       "d.toml:4:11: error[TP6001]: [serve]: listen: '::1:80' is no address to "
       "listen on: the address must be numeric, IPv6 in brackets"},
      {serve("listen = [\"[127.0.0.1]:80\"]"), "d.toml:4:11: error[TP6001]"},
      {serve("listen = [\"127.0.0.1:65536\"]"),
       "d.toml:4:11: error[TP6001]: [serve]: listen: '127.0.0.1:65536' is no "
       "address to listen on: the port must be 0 to 65535"},
      {serve("listen = [\"127.0.0.1:+80\"]"), "d.toml:4:11: error[TP6001]"},
      {serve("listen = [\"127.0.0.1:\"]"), "d.toml:4:11: error[TP6001]"},
      {serve("listen = [\"127.0.0.1\\u0000x:80\"]"),
       "d.toml:4:11: error[TP6001]"},
      {serve("listen = [\"unix:\"]"),
       "d.toml:4:11: error[TP6001]: [serve]: listen: 'unix:' is no address to "
       "listen on: behind unix: stands a path of at most 107 bytes"},
      {serve("listen = [\"unix:/" + std::string(107, 'x') + "\"]"),
       "d.toml:4:11: error[TP6001]"},
      // Short enough as it stands, too long behind /etc/t.
      {serve("listen = [\"unix:" + std::string(101, 'x') + "\"]"),
       "d.toml:4:11: error[TP6001]"},
      {serve("listen = [\"systemd\", \"systemd\"]"),
       "d.toml:4:22: error[TP6005]: [serve]: listen has 'systemd' twice"},
      {serve("listen = [\"0.0.0.0:80\"]\nplain_http = \"I know\""),
       "d.toml:4:11: error[TP6002]: [serve]: listen: 0.0.0.0 is reached from "
       "other machines, so keys must be set"},
      {serve("listen = [\"[2001:db8::1]:80\"]\nkeys = \"k.toml\""),
       "d.toml:4:11: error[TP6003]: [serve]: listen: 2001:db8::1 is reached "
       "from other machines, and there is no encryption"},
      {serve("plain_http = \"yes\""),
       "d.toml:4:14: error[TP1005]: [serve]: plain_http is 'yes', it can only "
       "be \"I know\""},
      {serve("plain_http = true"),
       "d.toml:4:14: error[TP1004]: [serve]: plain_http is true or false, it "
       "must be \"I know\""},
      {serve("keys = \"\""),
       "d.toml:4:8: error[TP1004]: [serve]: keys must be a path"},
      {serve("keys = \"credential:../x\""),
       "d.toml:4:8: error[TP6009]: [serve]: keys is 'credential:../x', behind "
       "credential: stands the name"},
      {serve("keys = \"credential:\""), "d.toml:4:8: error[TP6009]"},
      {serve("memory = \"3GB\""),
       "d.toml:4:10: error[TP1004]: [serve]: memory must be a size such as "
       "\"64KiB\", \"512MiB\" or \"3GiB\""},
      {serve("memory = 3000000"), "d.toml:4:10: error[TP1004]"},
      {serve("memory = \"-1GiB\""), "d.toml:4:10: error[TP1004]"},
      {serve("memory = \"99999999999999TiB\""), "d.toml:4:10: error[TP1004]"},
      {serve("memory = \"1MiB\""),
       "d.toml:4:10: error[TP1005]: [serve]: memory is 1MiB, allowed are 64MiB "
       "to 1024TiB"},
      {serve("max_body = \"65MiB\""),
       "d.toml:4:12: error[TP1005]: [serve]: max_body is 65MiB, allowed are "
       "1KiB to 64MiB"},
      {serve("itl_target = \"5ms\""),
       "d.toml:4:14: error[TP1005]: [serve]: itl_target is 5ms, allowed are "
       "10ms to 60000ms"},
      {serve("itl_target = 250"),
       "d.toml:4:14: error[TP1004]: [serve]: itl_target must be a time"},
      {serve("drain = \"2h\""),
       "d.toml:4:9: error[TP1005]: [serve]: drain is 7200000ms, allowed are "
       "1ms to 3600000ms"},
      {serve("hosts = [\"http://x\"]"),
       "d.toml:4:10: error[TP6001]: [serve]: hosts has 'http://x', each must "
       "be a host without scheme and port"},
      {serve("hosts = [\"\"]"),
       "d.toml:4:10: error[TP1004]: [serve]: hosts has an empty string"},
      {serve("hosts = [\"[x]\"]"), "d.toml:4:10: error[TP6001]"},
      {serve("origins = [\"*\"]"),
       "d.toml:4:12: error[TP6001]: [serve]: origins has '*', each must be a "
       "page's scheme and host"},
      {serve("origins = [\"https://x/\"]"), "d.toml:4:12: error[TP6001]"},
      {serve("origins = [\"https://x:y\"]"), "d.toml:4:12: error[TP6001]"},
      {serve("deadline = 5"),
       "d.toml:4:12: error[TP1004]: [serve.deadline] is an integer, not a "
       "table"},
      {serve("deadline.queu = \"5s\""),
       "d.toml:4:10: error[TP1002]: [serve.deadline]: unknown key 'queu'; did "
       "you mean 'queue'?"},
      {serve("deadline.queue = \"25h\""),
       "d.toml:4:18: error[TP1004]: [serve.deadline]: queue must be a time"},
      {serve("deadline.first_token = \"11m\""),
       "d.toml:4:1: error[TP1005]: [serve.deadline]: each of queue, "
       "first_token and total includes the one before, here 30000ms, 660000ms "
       "and 600000ms"},
      {serve("cache.persist = \"1GiB\""),
       "d.toml:4:7: error[TP1003]: [serve.cache]: persist has no effect "
       "without folder"},
      {serve("cache = {folder = \"\"}"),
       "d.toml:4:19: error[TP1004]: [serve.cache]: folder must be a path"},
      {serve("cache = {pin = \"1EiB\"}"), "d.toml:4:16: error[TP1004]"},
      {serve("cache = {size = 1}"), "d.toml:4:10: error[TP1002]"},
      {serve("sandbox = {reads = []}"),
       "d.toml:4:12: error[TP1002]: [serve.sandbox]: unknown key 'reads'; did "
       "you mean 'read'?"},
      {serve("sandbox.enabled = \"no\""),
       "d.toml:4:19: error[TP1004]: [serve.sandbox]: enabled is a string, it "
       "must be true or false"},
      {serve("sandbox.read = [\"\"]"),
       "d.toml:4:17: error[TP1004]: [serve.sandbox]: read has an empty string"},
      {serve("metrics.compat = [\"vlm\"]"),
       "d.toml:4:19: error[TP1005]: [serve.metrics]: compat has 'vlm', allowed "
       "are vllm and llamacpp; did you mean 'vllm'?"},
      {serve("metrics.open = 1"),
       "d.toml:4:16: error[TP1004]: [serve.metrics]: open is an integer"},
      {serve("ollama = true"),
       "d.toml:4:10: error[TP1004]: [serve.ollama] is true or false, not a "
       "table"},
      {serve("ollama.x = 1"), "d.toml:4:8: error[TP1002]: [serve.ollama]"},
      {with("[model.\"a b\"]"),
       "d.toml:3:8: error[TP1007]: model 'a b': a name is a letter or digit "
       "and up to 127 letters, digits, '.', '_', ':', '/', '-'"},
      {with("model.x = 5"),
       "d.toml:3:11: error[TP1004]: model 'x' is an integer, not a table"},
      {model("pth = \"x\""),
       "d.toml:3:1: error[TP1002]: model 'phi': unknown key 'pth'; did you "
       "mean 'path'?"},
      {model("path = \"\""),
       "d.toml:3:8: error[TP1004]: model 'phi': path must be a path"},
      {model("lora = 4096"),
       "d.toml:3:1: error[TP1008]: model 'phi': 'lora' is not supported "
       "yet"},
      {model("aliases = [\"phi\"]"),
       "d.toml:3:12: error[TP6005]: model 'phi': 'phi' already means model "
       "'phi'"},
      {model("aliases = [\"x y\"]"),
       "d.toml:3:12: error[TP1007]: model 'phi': alias 'x y' is neither"},
      {with("[model.x]\naliases = [\"*\"]\n[model.y]\naliases = [\"*\"]"),
       "d.toml:6:12: error[TP6005]: model 'y': '*' already means model 'x'"},
      {model("threads = 1025"),
       "d.toml:3:11: error[TP1005]: model 'phi': threads is 1025, allowed are "
       "0 to 1024"},
      {model("context = 15"), "d.toml:3:11: error[TP1005]"},
      {model("sequences = 0"), "d.toml:3:13: error[TP1005]"},
      {model("queue = 0"), "d.toml:3:9: error[TP1005]"},
      {model("seed = -1"), "d.toml:3:8: error[TP1005]"},
      {model("kv = \"int4\""),
       "d.toml:3:6: error[TP1005]: model 'phi': kv is 'int4', allowed are f32, "
       "f16, int8, int8-int4"},
      {model("kv_memory = \"1KiB\""), "d.toml:3:13: error[TP1005]"},
      {model("quantize = \"iq4_nl\""),
       "d.toml:3:12: error[TP1005]: model 'phi': quantize is 'iq4_nl', allowed "
       "are q8_0"},
      {model("exact = 1"), "d.toml:3:9: error[TP1004]"},
      {with("[pipeline.docs]"),
       "d.toml:3:11: error[TP1003]: pipeline 'docs': path is missing"},
      {with("[pipeline.\"a/b\"]\npath = \"x\""),
       "d.toml:3:11: error[TP1007]: pipeline 'a/b': a name is"},
      {with("[pipeline.docs]\npath = \"x\"\nchat_input = \"Q\""),
       "d.toml:5:14: error[TP1007]: pipeline 'docs': chat_input is 'Q', no "
       "input or output can have such a name"},
      {with("[model.\"pipeline:docs\"]\n[pipeline.docs]\npath = \"x\""),
       "d.toml:4:11: error[TP6005]: pipeline 'docs': 'pipeline:docs' already "
       "means model 'pipeline:docs'"},
  };
  for (const broken& b : all) {
    const std::string found = faults_of(b.text);
    CAPTURE(b.text, b.faults);
    CHECK(found.substr(0, b.faults.size()) == b.faults);
    CHECK(std::ranges::count(found, '\n') == 0);
  }
}

TEST_CASE("all faults of a file are told at once") {
  const std::string found = faults_of(
      "tinyphi = 2\nx = 1\n[serve]\nlisten = [\"a\", \"b\"]\n[pipeline.p]\n");
  CHECK(std::ranges::count(found, '\n') == 4);
}

TEST_CASE("loopback is what only this machine reaches") {
  for (const char* host : {"127.0.0.1", "127.255.0.9", "::1",
                           "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"}) {
    CAPTURE(host);
    CHECK(tinyphi::is_loopback(host));
  }
  for (const char* host : {"0.0.0.0", "128.0.0.1", "::", "::2", "fe80::1",
                           "::127.0.0.1", "::ffff:10.0.0.1", "localhost", ""}) {
    CAPTURE(host);
    CHECK_FALSE(tinyphi::is_loopback(host));
  }
}

TEST_CASE("a run without a file has one model that answers to every name") {
  const auto c = tinyphi::default_config("m.gguf", "unix:/run/x.sock");
  REQUIRE_OK(c);
  CHECK(c->listen[0].path == "/run/x.sock");
  REQUIRE(c->models.size() == 1);
  CHECK(c->models[0].path == "m.gguf");
  CHECK(c->models[0].aliases == std::vector<std::string>{"*"});
  CHECK(to_string(tinyphi::default_config("", "")->listen[0]) ==
        "127.0.0.1:8484");
  // An open address needs a file, which can name keys.
  const auto open = tinyphi::default_config("", "0.0.0.0:8484");
  REQUIRE_FALSE(open.has_value());
  CHECK(open.error().message.find("keys must be set") != std::string::npos);
}

TEST_CASE("a reload takes over what can change, and names what cannot") {
  using tinyphi::daemon_config;
  const daemon_config now;
  std::vector<std::string> left;
  daemon_config next;
  next.keys = "/k";
  next.drain = std::chrono::seconds(1);
  next.queue_deadline = std::chrono::seconds(2);
  next.first_token_deadline = std::chrono::seconds(3);
  next.total_deadline = std::chrono::seconds(4);
  next.models = {{.id = "m"}};
  next.pipelines = {{.name = "p"}};
  const daemon_config all = reloaded_config(now, next, left);
  CHECK(left.empty());
  CHECK(all.keys == "/k");
  CHECK(all.drain == next.drain);
  CHECK(all.queue_deadline == next.queue_deadline);
  CHECK(all.first_token_deadline == next.first_token_deadline);
  CHECK(all.total_deadline == next.total_deadline);
  CHECK(all.models == next.models);
  CHECK(all.pipelines.size() == 1);

  using change = void (*)(daemon_config&);
  const std::pair<const char*, change> fixed[] = {
      {"listen", [](daemon_config& c) { c.listen.emplace_back(); }},
      {"memory", [](daemon_config& c) { c.memory = 1; }},
      {"itl_target", [](daemon_config& c) { c.itl_target *= 2; }},
      {"hosts", [](daemon_config& c) { c.hosts.clear(); }},
      {"origins", [](daemon_config& c) { c.origins = {"a"}; }},
      {"plain_http", [](daemon_config& c) { c.plain_http_known = true; }},
      {"max_body", [](daemon_config& c) { c.max_body = 1; }},
      {"cache.folder", [](daemon_config& c) { c.cache_folder = "/c"; }},
      {"cache.pin", [](daemon_config& c) { c.pin = 1; }},
      {"cache.persist", [](daemon_config& c) { c.persist = 1; }},
      {"cache.swap", [](daemon_config& c) { c.swap = 1; }},
      {"metrics.compat", [](daemon_config& c) { c.vllm_metrics = true; }},
      {"metrics.compat", [](daemon_config& c) { c.llamacpp_metrics = true; }},
      {"metrics.open", [](daemon_config& c) { c.open_metrics = true; }},
      {"sandbox", [](daemon_config& c) { c.sandbox = false; }},
      {"sandbox", [](daemon_config& c) { c.sandbox_read = {"/r"}; }},
      {"sandbox", [](daemon_config& c) { c.sandbox_write = {"/w"}; }},
      {"ollama", [](daemon_config& c) { c.ollama = true; }},
  };
  for (const auto& [name, apply] : fixed) {
    daemon_config changed;
    apply(changed);
    left.clear();
    (void)reloaded_config(now, changed, left);
    CHECK(left == std::vector<std::string>{name});
  }
}
