// SPDX-License-Identifier: MIT
// tinyphi completion: what Tab gives in a shell, from the commands themselves.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/terminal.h"
#include "exit_code.h"

namespace cli {

namespace {

// An option of a command, or what stands without a name.
struct completed_option {
  std::vector<std::string> names;  // "-m", "--model"; empty: without a name
  std::string summary;
  bool takes_value = false;
  std::vector<std::string> words;  // all that the value may be; empty: a file
};

struct completed_command {
  std::string name;
  std::string summary;
  std::vector<completed_option> options;
};

// CLI11 shows the members of a set as "TEXT:{a,b}".
std::vector<std::string> words_of(const std::string& type) {
  std::vector<std::string> words;
  const std::size_t begin = type.find('{'), end = type.rfind('}');
  if (begin == std::string::npos || end == std::string::npos) return words;
  for (std::size_t at = begin + 1; at <= end;) {
    const std::size_t next = std::min(type.find(',', at), end);
    words.push_back(type.substr(at, next - at));
    at = next + 1;
  }
  return words;
}

completed_option option_of(const CLI::Option& from) {
  completed_option o;
  for (const std::string& name : from.get_snames()) {
    o.names.push_back("-" + name);
  }
  for (const std::string& name : from.get_lnames()) {
    o.names.push_back("--" + name);
  }
  o.summary = from.get_description();
  o.takes_value = from.get_type_size_max() > 0;
  if (o.takes_value) o.words = words_of(from.get_type_name());
  return o;
}

std::vector<completed_command> commands_of(const CLI::App& app) {
  std::vector<completed_command> all;
  for (const CLI::App* sub :
       app.get_subcommands([](const CLI::App*) { return true; })) {
    completed_command& c = all.emplace_back();
    c.name = sub->get_name();
    c.summary = sub->get_description();
    for (const CLI::Option* option : sub->get_options()) {
      if (!option->get_group().empty()) c.options.push_back(option_of(*option));
    }
  }
  return all;
}

std::string joined(const std::vector<std::string>& words,
                   std::string_view between) {
  std::string all;
  for (const std::string& word : words) {
    if (!all.empty()) all += between;
    all += word;
  }
  return all;
}

// What the shells read as one word, whatever is in it.
std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += R"('\'')";
    } else {
      out += c;
    }
  }
  return out + "'";
}

// All names of options of a command, or of the commands.
std::string names_of(const completed_command& command) {
  std::vector<std::string> names;
  for (const completed_option& o : command.options) {
    names.insert(names.end(), o.names.begin(), o.names.end());
  }
  return joined(names, " ");
}
std::string names_of(const std::vector<completed_command>& commands) {
  std::vector<std::string> names;
  for (const completed_command& c : commands) names.push_back(c.name);
  return joined(names, " ");
}

// Words for a command's value without a name.
std::vector<std::string> plain_words(const completed_command& command) {
  for (const completed_option& o : command.options) {
    if (o.names.empty()) return o.words;
  }
  return {};
}

std::string bash_script(const std::vector<completed_command>& commands) {
  std::string out =
      "# Completion of tinyphi in bash: source <(tinyphi completion bash)\n"
      "_tinyphi_words() {\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$word\")\n"
      "}\n"
      "_tinyphi() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]-}\n"
      "  local before=${COMP_WORDS[COMP_CWORD-1]-}\n"
      "  # --option=value is three words.\n"
      "  if [ \"$word\" = = ]; then\n"
      "    word=\n"
      "  elif [ \"$before\" = = ]; then\n"
      "    before=${COMP_WORDS[COMP_CWORD-2]-}\n"
      "  fi\n"
      "  COMPREPLY=()\n"
      "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
      "    _tinyphi_words '" +
      names_of(commands) +
      " --help --version'\n"
      "    return\n"
      "  fi\n"
      "  case ${COMP_WORDS[1]} in\n";
  for (const completed_command& c : commands) {
    out += "  " + c.name + ")\n    case $before in\n";
    std::vector<std::string> files;  // options that take one
    for (const completed_option& o : c.options) {
      if (o.names.empty() || !o.takes_value) continue;
      if (o.words.empty()) {
        files.insert(files.end(), o.names.begin(), o.names.end());
      } else {
        out += "    " + joined(o.names, "|") + ") _tinyphi_words '" +
               joined(o.words, " ") + "'; return ;;\n";
      }
    }
    // Behind an option with a value stands no option, and no such word.
    const std::string options = names_of(c);
    const std::string plain = joined(plain_words(c), " ");
    if (!files.empty()) out += "    " + joined(files, "|") + ") ;;\n";
    out += "    *)\n      case $word in\n      -*) _tinyphi_words '" + options +
           "'; return ;;\n";
    if (!plain.empty()) {
      out += "      *) _tinyphi_words '" + plain + "'; return ;;\n";
    }
    out += "      esac ;;\n    esac ;;\n";
  }
  return out +
         "  esac\n"
         "  compopt -o filenames 2>/dev/null\n"
         "  mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
         "}\n"
         "complete -F _tinyphi tinyphi\n";
}

// In "--name[summary]" of zsh, brackets and colons have a meaning.
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_script(const std::vector<completed_command>& commands) {
  std::string out =
      "#compdef tinyphi\n"
      "# Completion of tinyphi in zsh: source <(tinyphi completion zsh)\n"
      "_tinyphi() {\n"
      "  local -a commands\n"
      "  commands=(\n";
  for (const completed_command& c : commands) {
    out += "    " + shell_quoted(zsh_text(c.name) + ":" + zsh_text(c.summary)) +
           "\n";
  }
  out +=
      "  )\n"
      "  if (( CURRENT == 2 )); then\n"
      "    _describe command commands\n"
      "    return\n"
      "  fi\n"
      "  local command=$words[2]\n"
      "  shift words\n"
      "  (( CURRENT-- ))\n"
      "  case $command in\n";
  for (const completed_command& c : commands) {
    out += "  " + c.name + ")\n    _arguments -S";
    for (const completed_option& o : c.options) {
      const std::string value = !o.takes_value ? ""
                                : o.words.empty()
                                    ? ":value:_files"
                                    : ":value:(" + joined(o.words, " ") + ")";
      const std::string summary = "[" + zsh_text(o.summary) + "]";
      if (o.names.empty()) out += " \\\n      " + shell_quoted("*" + value);
      for (const std::string& name : o.names) {
        out += " \\\n      " + shell_quoted("*" + name + summary + value);
      }
    }
    out += "\n    ;;\n";
  }
  return out +
         "  esac\n"
         "}\n"
         "compdef _tinyphi tinyphi\n";
}

// In single quotes of fish, only these two have a meaning.
std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string fish_script(const std::vector<completed_command>& commands) {
  const std::string begin = "complete -c tinyphi ";
  std::string out =
      "# Completion of tinyphi in fish: tinyphi completion fish | source\n" +
      begin + "-n __fish_use_subcommand -f\n";
  for (const completed_command& c : commands) {
    out += begin + "-n __fish_use_subcommand -a " + c.name + " -d " +
           fish_quoted(c.summary) + "\n";
  }
  for (const completed_command& c : commands) {
    const std::string within =
        begin + "-n '__fish_seen_subcommand_from " + c.name + "'";
    for (const completed_option& o : c.options) {
      std::string line = within;
      for (const std::string& name : o.names) {
        line += name.starts_with("--") ? " -l " + name.substr(2)
                                       : " -s " + name.substr(1);
      }
      if (!o.words.empty()) {
        line += " -x -a " + fish_quoted(joined(o.words, " "));
      } else if (o.takes_value && !o.names.empty()) {
        line += " -r -F";
      }
      if (!o.names.empty() || !o.words.empty()) {
        out += line + " -d " + fish_quoted(o.summary) + "\n";
      }
    }
  }
  return out;
}

}  // namespace

void add_completion(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "completion", "print what makes Tab complete commands in a shell",
      "source <(tinyphi completion bash)\n"
      "\n"
      "Once for each new shell: put that line into ~/.bashrc or ~/.zshrc (with "
      "zsh\n"
      "in place of bash); fish reads it from a file:\n"
      "  tinyphi completion fish > ~/.config/fish/completions/tinyphi.fish");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "the shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->final_callback([shell, &app, &run] {
    run = [shell, &app] {
      const auto commands = commands_of(app);
      print(*shell == "bash"  ? bash_script(commands)
            : *shell == "zsh" ? zsh_script(commands)
                              : fish_script(commands));
      return exit_done;
    };
  });
}

}  // namespace cli
