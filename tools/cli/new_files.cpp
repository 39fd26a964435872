// SPDX-License-Identifier: MIT
#include "cli/new_files.h"

namespace cli {

namespace {

constexpr std::string_view ask = R"toml(# A question, and a model's answer.
tinyphi = 1

[input]
question = { type = "text", max_bytes = 4000 }

[output]
answer = "generate.text"

[stage.prompt]
use         = "prompt"
with.system = "Answer in three sentences at most."
with.user   = "{{ question }}"

[stage.generate]
use             = "generate"
with.max_tokens = 200

[[test]]
name   = "the question is asked, and the answer comes back"
input  = { question = "Why is the sky blue?" }
fake   = { generate.text = "Air scatters blue light most." }
expect = ["prompt.prompt contains 'Why is the sky blue?'", "output.answer == 'Air scatters blue light most.'"]
)toml";

constexpr std::string_view agent =
    R"toml(# A model that may call tools before it answers: a calculator, a clock, and a
# note that it writes only after a person's yes.
tinyphi = 1

[input]
question = { type = "text", max_bytes = 2000 }

[output]
answer = "agent.text"
calls  = "agent.calls"

[tool.calculate]
use      = "math.eval"
describe = "Reckons an expression such as (17 + 4) * 2"

[tool.clock]
use      = "time.now"
describe = "Tells the date, the weekday and the time"

[tool.note]
use       = "file.write"
describe  = "Writes a note into the list of notes"
approve   = "60s"
with.path = "notes.txt"

[stage.prompt]
use         = "prompt"
with.system = "You are a helpful assistant. Use the tools for facts."
with.user   = "{{ question }}"
with.fit    = { question = 600 }

[stage.agent]
use        = "agent"
with.tools = ["calculate", "clock", "note"]
timeout    = "2m"

[[test]]
name   = "the calculator reckons, and its result is what the model is told"
input  = { question = "How many hours are seven weeks?" }
script = { agent = [{ call = "calculate", args = { expression = "7 * 7 * 24" } }, { text = "1176 hours." }] }
expect = ["agent.calls[0].result contains '1176'", "output.answer == '1176 hours.'"]

[[test]]
name   = "nothing is written without a person's yes"
input  = { question = "Note that the pump leaks." }
script = { agent = [{ call = "note", args = { text = "The pump leaks." } }, { text = "Nobody agreed." }] }
expect = ["denied(note) == 1", "calls(note) == 0"]

[[test]]
name    = "a yes lets it write"
input   = { question = "Note that the pump leaks." }
approve = ["note"]
fake    = { note.bytes = 16 }
script  = { agent = [{ call = "note", args = { text = "The pump leaks." } }, { text = "Noted." }] }
expect  = ["calls(note) == 1", "output.answer == 'Noted.'"]
)toml";

constexpr std::string_view chat =
    R"toml(# A conversation that is remembered in chat.db, by its name.
tinyphi = 1

[input]
conversation = { type = "text", max_bytes = 64 }
message      = { type = "text", max_bytes = 2000 }

[output]
reply = "generate.text"

# in.conversation is bound to input.conversation, by its name.
[stage.past]
use            = "memory"
with.action    = "load"
with.file      = "chat.db"
with.max_turns = 10

[stage.prompt]
use         = "prompt"
in.history  = "past.history"
with.system = "You are a friendly assistant. Answer in three sentences at most."
with.user   = "{{ message }}"
with.fit    = { history = 800, message = 600 }

[stage.generate]
use             = "generate"
with.max_tokens = 200

[stage.save]
use         = "memory"
in.user     = "input.message"
in.reply    = "generate.text"
with.action = "save"
with.file   = "chat.db"

[[test]]
name   = "what was said before is in the prompt, and the answer is kept"
input  = { conversation = "ada", message = "What is my name?" }
fake   = { past.history = [{ role = "user", content = "I am Ada." }, { role = "assistant", content = "Hello, Ada." }], generate.text = "Ada.", save.turns = 2 }
expect = ["prompt.prompt contains 'I am Ada.'", "prompt.prompt contains 'What is my name?'", "output.reply == 'Ada.'", "ran(save)"]
)toml";

constexpr std::string_view classify =
    R"toml(# Sorts a message into one of a few labels.
tinyphi = 1

[input]
message = { type = "text", max_bytes = 4000 }

[output]
label = "sort.label"
score = "sort.score"

[stage.prompt]
use       = "prompt"
with.user = "{{ message }}\n\nIs this message a question, a complaint or praise?"

[stage.sort]
use         = "classify"
with.labels = ["question", "complaint", "praise"]

[[test]]
name   = "the message is in the prompt, and the label comes back"
input  = { message = "The pump leaks again!" }
fake   = { sort = { label = "complaint", score = 0.9 } }
expect = ["prompt.prompt contains 'The pump leaks again!'", "output.label == 'complaint'", "output.score > 0.5"]
)toml";

constexpr std::string_view docs =
    R"toml(# Answers from the documents in docs/, with checked citations.
tinyphi = 1

[input]
question = { type = "text", max_bytes = 4000 }

[output]
answer    = { from = "cite.text", default = "I don't know: the documents do not say." }
citations = { from = "cite.citations", default = [] }

[stage.ingest]
use              = "ingest"
with.folder      = "docs"
with.index       = "docs.db"
with.chunk_bytes = 400

# Gives no docs when no passage is sure enough; the stages behind it are then
# skipped, and the outputs take their defaults. A Phi-3 makes good use of more
# passages than one.
[stage.find]
use        = "retrieve.fts"
in.query   = "input.question"
in.index   = "ingest.index"
with.top_k = 1

[stage.prompt]
use         = "prompt"
in.docs     = "find.docs"
with.system = "Answer from the passages and cite them."
with.user   = '''
{% for d in docs %}[{{ loop.index }}] {{ d.locator }}
{{ d.text }}

{% endfor %}Question: {{ question }}'''
with.fit    = { docs = 2000, question = 1000 }

[stage.generate]
use             = "generate"
with.max_tokens = 300

[stage.cite]
use     = "cite.verify"
in.text = "generate.text"
in.docs = "prompt.docs"

[[test]]
name   = "cites a passage that the model was shown"
input  = { question = "How do I descale the machine?" }
fake   = { ingest.notes = "", ingest.index = "docs.db", find.docs = [{ id = "m#1", title = "Machine", text = "Descale the machine every two months." }], generate.text = "Descale the machine every two months." }
expect = ["prompt.prompt contains 'every two months'", "output.answer contains '[1]'", "output.citations[0].id == 'm#1'"]

[[test]]
name   = "says so when nothing is found"
input  = { question = "What is the meaning of life?" }
fake   = { ingest.notes = "", ingest.index = "docs.db", find = {}, generate.text = "" }
expect = ["output.answer contains 'do not say'", "not ran(generate)"]
)toml";

constexpr std::string_view machine = R"toml(# Coffee machine

## Descaling

Descale the machine every two months. Fill the tank with half a litre of water
and one sachet of descaler, then hold the steam button for five seconds.

## Water

The tank holds 1.8 litres. Use fresh, cold water only.
)toml";

constexpr std::string_view batch =
    R"toml(# Sorts each row of a table, and writes sorted.csv with a label beside each text.
tinyphi = 1

[allow]
read = ["tables"]                 # where input.file may lie

[input]
file = "file"                     # CSV with a column text

[output]
rows   = "sheet.rows"
failed = "one.failed"

[stage.table]
use = "table.read"

# A row that fails is left out, and listed in one.failed.
[stage.one]
use      = "./row.toml"
each     = "table.rows"
in.row   = "item"
parallel = 2
on_error = "collect"

[stage.sheet]
use          = "table.write"
in.rows      = "one.row"
with.path    = "sorted.csv"
with.mode    = "replace"
with.columns = ["text", "label"]

[[test]]
name       = "a row that fails is listed, and the others are written"
input      = { file = "tables/messages.csv" }
fake       = { table = { rows = [{ "text" = "Thanks!" }, { "text" = "?" }], count = 2 }, sheet.rows = 1 }
script.one = [{ row = ["Thanks!", "praise"] }, { error = "unavailable" }]
expect     = ["rounds(one) == 2", "output.rows == 1", "one.row[0][1] == 'praise'", "output.failed[0].index == 1"]
)toml";

constexpr std::string_view batch_row =
    R"toml(# One row of the table, with its label; the file beside this one calls it.
tinyphi = 1

[input]
row = { type = "json", trust = "untrusted" }

[output]
row = ["text.value", "sort.label"]    # cells, in the order of the columns

[stage.text]
use       = "json.pick"
in.value  = "input.row"
with.path = "text"
with.type = "text"

[stage.prompt]
use       = "prompt"
in.text   = "text.value"
with.user = "{{ text }}\n\nIs this message a question, a complaint or praise?"
with.fit  = { text = 400 }

[stage.sort]
use         = "classify"
with.labels = ["question", "complaint", "praise"]

[[test]]
name   = "the text is in the prompt, and the label behind it in the row"
input  = { row = { "text" = "The pump leaks again!" } }
fake   = { sort.label = "complaint" }
expect = ["prompt.prompt contains 'The pump leaks again!'", "output.row[0] == 'The pump leaks again!'", "output.row[1] == 'complaint'"]
)toml";

constexpr std::string_view messages = R"toml(text
Where is the filter?
The pump leaks again!
"Thanks, it works."
)toml";

constexpr new_file agent_files[] = {{"", agent}};
constexpr new_file ask_files[] = {{"", ask}};
constexpr new_file batch_files[] = {
    {"", batch}, {"row.toml", batch_row}, {"tables/messages.csv", messages}};
constexpr new_file chat_files[] = {{"", chat}};
constexpr new_file classify_files[] = {{"", classify}};
constexpr new_file docs_files[] = {{"", docs}, {"docs/machine.md", machine}};

constexpr new_kind kinds[] = {
    {"agent", "a model that may call tools before it answers", agent_files,
     "-i question='How many hours are seven weeks?'"},
    {"ask", "a question, and a model's answer", ask_files,
     "-i question='Why is the sky blue?'"},
    {"batch", "each row of a table, sorted by a model", batch_files,
     "-i file=tables/messages.csv"},
    {"chat", "a conversation that is remembered", chat_files,
     "-i conversation=ada -i message='I am Ada.'"},
    {"classify", "a message gets one of a few labels", classify_files,
     "-i message='The pump leaks again!'"},
    {"docs", "answers from a folder of documents, with citations", docs_files,
     "-i question='How do I descale the machine?'"},
};

}  // namespace

std::span<const new_kind> new_kinds() { return kinds; }

}  // namespace cli
