#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeded generator of the training conversations of the demo model.

Everything it says is made here from templates and word lists: no outside text.
One example is a list of (role, text) turns; `conversation(rng)` draws one. The
skills are the ones that the sample pipelines need: answer from cited passages
(or say that they do not hold the answer), extract JSON, call a tool, raise an
alert from readings, and a little small talk.

    ./make_corpus.py            # prints a dozen examples; needs wamerican
"""

import functools
import json
import random


@functools.cache
def words():
    """Plain lower-case English words of 3 to 11 letters, from Debian's wamerican."""
    with open("/usr/share/dict/words", encoding="utf-8") as file:
        candidates = [line.strip() for line in file]
    return [
        w
        for w in candidates
        if w.isalpha() and w.islower() and 3 <= len(w) <= 11 and w.isascii()
    ]


SYL = """
ba be bi bo bu ca ce co da de di do fa fe fi ga go ha he ka ki ko la le li lo lu ma
me mi mo mu na ne no pa pe po ra re ri ro sa se so ta te ti to va ve vi xi za zo zen
tron lex dar mor vin sol ter
""".split()
PEOPLE = """
Ada Alan Amina Anna Ben Carla Chen Clara Dana David Elena Emma Erik Farah Felix
Grace Hana Hugo Ines Ivan Jack Jonas Julia Karim Kenji Lara Leo Lena Lucas Maria
Marco Maya Mei Nadia Nina Noah Olga Omar Oscar Paul Petra Priya Rosa Ruth Samir Sara
Sofia Tariq Tom Vera Yuki Zoe
""".split()
SURNAMES = """
Abbott Adler Becker Berg Brown Carter Costa Diaz Evans Fischer Garcia Gruber Haddad
Hansen Ito Jensen Khan Kim Kovacs Larsen Lopez Meyer Moreau Novak Okafor Park Patel
Reyes Rossi Sato Schmidt Silva Singh Smith Stone Tanaka Torres Weber Wong Young
""".split()
NOUNS = """
account adapter alarm antenna archive backup battery boiler bridge broker bucket
buffer cabinet cable cache camera channel client clock cluster collector compressor
console container controller conveyor counter crane cursor daemon dashboard database
detector device dispatcher display door driver elevator engine fan filter firewall
form furnace gateway gauge generator handler heater hopper index invoice journal
kernel key kiln ladder lamp ledger library license lift loader lock logger machine
manager manual meter mixer model module monitor motor network node notebook oven
panel parser pipeline planner plugin policy pool port press printer probe profile
projector proxy pump queue rack radio reactor reader receiver record recorder refund
register relay report request reservoir resolver robot rocket router sampler scanner
schedule scheduler schema screen sensor server service session shelf shipment signal
silo socket spindle station storage stream subscription switch table tank template
terminal thermostat ticket timer token tokenizer torch tower tractor transformer
tray turbine unit vacuum valve vault vehicle vent wagon warehouse watchdog wheel
window worker workshop
""".split()
ADJ = """
active backup blue central cold compact daily deep default double eastern emergency
external fast final first front global gray green heavy hidden hot idle inner large
left local lower main manual mobile narrow native new north outer passive primary
private public quick rear red remote right rotating safe second secondary shared
short silent slow small solid southern spare standard static third tiny upper
virtual warm wide yellow
""".split()
ATTR = """
address age author budget capacity checksum code color cost default depth diameter
duration encoding extension family format frequency height interval label length
level license limit location lifetime mass model name number operator output owner
password path period phase port position power pressure price priority protocol
purpose range rate ratio resolution role serial size speed state status supplier
temperature threshold timeout type unit value vendor version voltage volume warranty
weight width zone
""".split()
PLACES = """
Accra Amsterdam Athens Basel Bergen Berlin Boston Cairo Chicago Dakar Dublin Geneva
Hanoi Helsinki Kyoto Lagos Leeds Lima Lisbon London Lyon Madrid Manila Milan Nairobi
Oslo Paris Porto Prague Quito Riga Rome Seoul Sofia Tokyo Turin Vienna Warsaw Zagreb
Zurich
""".split()
MONTHS = """
January February March April May June July August September October November
December
""".split()
COLORS = """
amber black blue brown gold gray green orange pink purple red silver white yellow
""".split()
MATERIALS = """
aluminium brass ceramic copper cotton glass iron leather marble nylon oak paper
plastic rubber steel stone titanium wood
""".split()
UNITS = """
bar bytes days degrees grams gigabytes hertz hours kilobytes kilograms kilometers
liters megabytes meters milliseconds minutes percent points seconds steps tokens
volts watts weeks years
""".split()
VERB_DO = [
    ("start", "starts"),
    ("stop", "stops"),
    ("restart", "restarts"),
    ("clean", "cleans"),
    ("reset", "resets"),
    ("update", "updates"),
    ("install", "installs"),
    ("remove", "removes"),
    ("test", "tests"),
    ("open", "opens"),
    ("close", "closes"),
    ("check", "checks"),
    ("build", "builds"),
    ("configure", "configures"),
    ("enable", "enables"),
    ("disable", "disables"),
    ("list", "lists"),
    ("export", "exports"),
    ("import", "imports"),
    ("replace", "replaces"),
    ("validate", "validates"),
    ("inspect", "inspects"),
    ("print", "prints"),
    ("repair", "repairs"),
    ("load", "loads"),
    ("run", "runs"),
    ("convert", "converts"),
    ("quantize", "quantizes"),
    ("measure", "measures"),
    ("calibrate", "calibrates"),
]
VERB_USE = [
    ("store", "stores"),
    ("send", "sends"),
    ("read", "reads"),
    ("write", "writes"),
    ("accept", "accepts"),
    ("return", "returns"),
    ("require", "requires"),
    ("support", "supports"),
    ("produce", "produces"),
    ("use", "uses"),
    ("need", "needs"),
    ("contain", "contains"),
    ("control", "controls"),
    ("protect", "protects"),
    ("record", "records"),
    ("create", "creates"),
    ("collect", "collects"),
    ("count", "counts"),
    ("carry", "carries"),
    ("share", "shares"),
    ("hold", "holds"),
    ("report", "reports"),
    ("cover", "covers"),
    ("include", "includes"),
]
STOP = "I don't know: the passages do not say."


def pick(rng, xs):
    """One of the list."""
    return xs[rng.randrange(len(xs))]


def coin(rng, p=0.5):
    """True with probability p."""
    return rng.random() < p


def pseudo(rng):
    """A made-up word of two or three syllables."""
    return "".join(pick(rng, SYL) for _ in range(rng.randint(2, 3)))


def number(rng):
    """Digits: mostly small, sometimes with a decimal."""
    k = rng.random()
    if k < 0.5:
        return str(rng.randint(2, 99))
    if k < 0.8:
        return str(rng.randint(100, 9999))
    if k < 0.9:
        return f"{rng.randint(1, 99)}.{rng.randint(0, 9)}"
    return str(rng.randint(10000, 99999))


def quantity(rng):
    """A number with its unit."""
    return f"{number(rng)} {pick(rng, UNITS)}"


def date(rng):
    """A date in one of three forms."""
    return pick(
        rng,
        [
            f"{rng.randint(1, 28)} {pick(rng, MONTHS)} {rng.randint(1950, 2030)}",
            f"{pick(rng, MONTHS)} {rng.randint(1, 28)}, {rng.randint(1950, 2030)}",
            f"{rng.randint(1990, 2030)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
        ],
    )


def person(rng):
    """First name and surname."""
    return f"{pick(rng, PEOPLE)} {pick(rng, SURNAMES)}"


def flag(rng):
    """A command-line option."""
    return pick(
        rng,
        [
            f"--{pick(rng, ATTR)}",
            f"--{pick(rng, ADJ)}-{pick(rng, NOUNS)}",
            f'-{pick(rng, list("abcdefghijklmnopqrstuvwxyz"))}',
        ],
    )


def command(rng):
    """A command line of a made-up program."""

    def w():
        return pick(rng, [pick(rng, NOUNS), pseudo(rng), pick(rng, words())])

    return pick(
        rng,
        [
            lambda: f"{w()} {pick(rng, VERB_DO)[0]}",
            lambda: f"{w()} {pick(rng, VERB_DO)[0]} {flag(rng)}",
            lambda: f"{w()} {flag(rng)} {number(rng)}",
            lambda: f'{w()} {flag(rng)} {w()}.{pick(rng, ["toml", "json", "txt", "gguf", "log"])}',
        ],
    )()


def path(rng):
    """A file path."""

    def w():
        return pick(rng, [pick(rng, NOUNS), pseudo(rng), pick(rng, words())])

    return pick(
        rng,
        [
            f'/{pick(rng, ["etc", "var", "opt", "usr", "srv", "home", "tmp"])}/{w()}/{w()}',
            f'/{pick(rng, ["etc", "var/log", "srv"])}/{w()}.{pick(rng, ["toml", "json", "log", "db"])}',
            f'{w()}/{w()}.{pick(rng, ["md", "toml", "txt", "hpp", "gguf"])}',
        ],
    )


def thing(rng):
    """A noun phrase without its article."""
    k = rng.random()
    if k < 0.3:
        return f"{pick(rng, ADJ)} {pick(rng, NOUNS)}"
    if k < 0.45:
        return pick(rng, NOUNS)
    if k < 0.6:
        return f"{pick(rng, NOUNS)} {pick(rng, NOUNS)}"
    if k < 0.75:
        return f"{pick(rng, words())} {pick(rng, NOUNS)}"
    if k < 0.88:
        return f"{pick(rng, words())} {pick(rng, words())}"
    return f"{pseudo(rng)} {pick(rng, NOUNS)}"


def proper(rng):
    """A made-up proper name."""
    k = rng.random()
    if k < 0.4:
        return pseudo(rng).capitalize()
    if k < 0.6:
        return f"{pseudo(rng).capitalize()} {pick(rng, NOUNS).capitalize()}"
    if k < 0.8:
        return f"{pick(rng, words()).capitalize()} {number(rng)}"
    return f"{pick(rng, words()).capitalize()}{pick(rng, words()).capitalize()}"


def subject(rng):
    """What a sentence is about: a thing with its article, or a name."""
    return f"the {thing(rng)}" if coin(rng, 0.7) else proper(rng)


def plural(rng):
    """A plural noun."""
    n = pick(rng, NOUNS + words()[:200])
    return n + ("es" if n[-1] in "sx" else "s")


def value(rng):
    """Anything that can be the value of an attribute."""
    return pick(
        rng,
        [
            lambda: number(rng),
            lambda: quantity(rng),
            lambda: f'"{pick(rng, words())}"',
            lambda: path(rng),
            lambda: pick(rng, COLORS),
            lambda: person(rng),
            lambda: date(rng),
            lambda: proper(rng),
            lambda: pick(rng, words()),
            lambda: flag(rng),
        ],
    )()


def cap(s):
    """The same with a capital first letter."""
    return s[0].upper() + s[1:]


def several(rng, f):
    """Two to four of them: "a, b and c"."""
    xs = [f(rng) for _ in range(rng.randint(2, 4))]
    return ", ".join(xs[:-1]) + " and " + xs[-1]


LINK = """
the the the a a of of to to in in for and and or with on by from at as is is are was
were be been has have can may must should will not only also when while if after
before until during each every its their this that these which who how then than
more most into over under between without about both all any no it they you we
""".split()
ASK = [
    "What about {}?",
    "How do I {}?",
    "How does {} work?",
    "What is {}?",
    "What are {}?",
    "Why {}?",
    "When {}?",
    "When is {}?",
    "Which {}?",
    "Where is {}?",
    "Where can I find {}?",
    "Who {}?",
    "Can I {}?",
    "Does {}?",
    "Is {}?",
    "Should {}?",
    "Tell me about {}.",
    "Explain {}.",
    "Describe {}.",
    "{}?",
    "{}",
]


def bent(rng, w):
    """A word as somebody else would inflect it."""
    if not w.isalpha() or coin(rng, 0.7):
        return w
    if w.endswith("s") and coin(rng):
        return w[:-1]
    return w + pick(rng, ["s", "s", "ing", "ed"])


def loose(rng):
    """(sentence, [questions]) of no meaning.

    Only shared words tell which question belongs to it.
    """
    content, out = [], []
    for i in range(rng.randint(4, 13)):
        if i and coin(rng, 0.45):
            out.append(pick(rng, LINK))
            continue
        w = pick(
            rng,
            [
                lambda: pick(rng, words()),
                lambda: pick(rng, words()),
                lambda: pick(rng, NOUNS),
                lambda: pick(rng, ADJ),
                lambda: pick(rng, ATTR),
                lambda: pick(rng, VERB_DO)[rng.randrange(2)],
                lambda: pick(rng, VERB_USE)[rng.randrange(2)],
                lambda: plural(rng),
                lambda: pseudo(rng).capitalize(),
                lambda: number(rng),
                lambda: pick(
                    rng,
                    [
                        flag,
                        path,
                        command,
                        quantity,
                        person,
                        date,
                        lambda rng: pick(rng, PLACES),
                    ],
                )(rng),
            ],
        )()
        content.append(w)
        if coin(rng, 0.05):
            w = f"`{w}`"
        elif coin(rng, 0.03):
            w = f'"{w}"'
        elif coin(rng, 0.03):
            w = f"({w})"
        out.append(
            w + (pick(rng, [",", ",", ",", ":", ";"]) if coin(rng, 0.08) else "")
        )
    sentence = cap(" ".join(out).rstrip(",:;")) + "."
    questions = []
    for _ in range(3):
        ws = [
            bent(rng, w)
            for w in rng.sample(content, min(len(content), rng.randint(2, 4)))
        ]
        said = ""
        for w in ws:
            said += (
                (" " if said else "")
                + (pick(rng, LINK) + " " if coin(rng, 0.4) else "")
                + w
            )
        questions.append(cap(pick(rng, ASK).format(said)))
    return sentence, questions


NUMW = """
one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty
forty fifty sixty ninety
""".split()
UNIT = """
second minute hour day week month year
""".split()
FOLK = """
employees customers members students guests drivers nurses visitors users managers
operators children teachers patients readers pilots farmers tenants
""".split()
ROLE = [
    "manager",
    "head of department",
    "service",
    "doctor",
    "technician",
    "office",
    "owner",
    "front desk",
    "support team",
    "teacher",
    "safety officer",
    "driver",
]
STATE = """
blocked empty hot open closed wet full loose dirty cold locked broken offline dark
noisy late ready running warm missing
""".split()
STUFF = """
water oil coffee paper soap salt sand milk steam dust air fuel ink sugar glue flour
rice grease gravel bread
""".split()
ACT = """
clean rinse fill empty press hold turn lift move store check replace open close lock
wash dry charge connect call book return repair paint pack sign read cut mix heat
cool wipe shake
""".split()


def plain(rng):
    """(sentence, [questions]) in the style of manuals and handbooks."""

    def noun():
        return pick(
            rng,
            [
                lambda: pick(rng, NOUNS),
                lambda: pick(rng, words()),
                lambda: thing(rng),
                lambda: f"{pick(rng, ADJ)} {pick(rng, words())}",
            ],
        )()

    n, o, v, v2, st, stuff, role, folk = (
        noun(),
        noun(),
        pick(rng, ACT),
        pick(rng, ACT),
        pick(rng, STATE),
        pick(rng, STUFF),
        pick(rng, ROLE),
        pick(rng, FOLK),
    )
    num = pick(rng, [pick(rng, NUMW), str(rng.randint(2, 400))])
    num2 = str(rng.randint(2, 400))
    u = pick(rng, UNIT)
    at = pick(rng, ATTR)
    things = pick(rng, [plural(rng), f"{pick(rng, words())} {plural(rng)}"])
    how = pick(
        rng,
        [
            f"once a {u}",
            f"twice a {u}",
            f"every {num} {u}s",
            f"every {u}",
            f'each {pick(rng, ["morning", "evening", "night", "spring", "Monday", "Friday"])}',
            f"after every {noun()}",
        ],
    )
    code = pick(
        rng,
        [
            f"error E{rng.randint(1, 99)}",
            f"code {rng.randint(10, 999)}",
            f"a {pick(rng, COLORS)} light",
            f"the {pick(rng, ADJ)} sign",
            f"status {rng.randint(1, 9)}",
        ],
    )
    return pick(
        rng,
        [
            lambda: (
                f"{cap(v)} the {n} {how}.",
                [
                    f"How often should I {v} the {n}?",
                    f"When should I {v} the {n}?",
                    f"How often do I {v} the {n}?",
                ],
            ),
            lambda: (
                f"{cap(code)} means that the {n} is {st}.",
                [
                    f"What does {code} mean?",
                    f"What is {code}?",
                    f"Why do I see {code}?",
                ],
            ),
            lambda: (
                f"The {n} lasts {num} {u}s.",
                [f"How long does the {n} last?", f"How long is the {n}?"],
            ),
            lambda: (
                f"{cap(v)} the {n} for {num} {u}s to {v2} the {o}.",
                [
                    f"How do I {v2} the {o}?",
                    f"How can I {v2} the {o}?",
                    f"How long must I {v} the {n}?",
                ],
            ),
            lambda: (
                f'The {at} is printed on the {n} {pick(rng, ["under", "behind", "above", "inside", "next to"])} the {o}.',
                [
                    f"Where is the {at}?",
                    f"Where do I find the {at}?",
                    f"Where can I see the {at}?",
                ],
            ),
            lambda: (
                f'{cap(folk)} have {num} {pick(rng, ["days", "hours", "minutes", "weeks"])} of {noun()} per {u}.',
                [
                    f"How much time do {folk} have?",
                    f"How many do {folk} have per {u}?",
                    f"What do {folk} have per {u}?",
                ],
            ),
            lambda: (
                f"{cap(things)} need the approval of the {role}.",
                [
                    f"Who must approve {things}?",
                    f"Who approves {things}?",
                    f"What do {things} need?",
                ],
            ),
            lambda: (
                f'The {n} holds {num} {pick(rng, ["liters", "kilograms", "cups", "bags", "boxes", "pieces"])} of {stuff}.',
                [
                    f"How much {stuff} does the {n} hold?",
                    f"How much does the {n} hold?",
                    f"What does the {n} hold?",
                ],
            ),
            lambda: (
                f'{pick(rng, ["Unused", "Old", "Open"])} {things} expire at the end of {pick(rng, MONTHS)}.',
                [f"When do {things} expire?", f"When do unused {things} expire?"],
            ),
            lambda: (
                f"The {n} does not cover {noun()} from {stuff}.",
                [f"What does the {n} not cover?", f"Does the {n} cover {stuff}?"],
            ),
            lambda: (
                f'{pick(rng, ["Hard", "Old", "Too much", "Cold", "Dirty"])} {stuff} shortens the life of the {n}.',
                [f"What shortens the life of the {n}?", f"What is bad for the {n}?"],
            ),
            lambda: (
                f'If the {n} stays {st}, {pick(rng, ["call", "ask", "tell", "write to"])} the {role}.',
                [
                    f"What if the {n} stays {st}?",
                    f"What do I do if the {n} stays {st}?",
                    f"The {n} is {st}. What now?",
                ],
            ),
            lambda: (
                f"Keep the {n} to claim the {o}.",
                [f"What must I keep to claim the {o}?", f"Why should I keep the {n}?"],
            ),
            lambda: (
                f'The {n} {pick(rng, ["blinks", "rings", "stops", "turns"])} {pick(rng, ["twice", "once", "three times"])} when the {o} is {pick(rng, ["done", "ready", "full", "open"])}.',
                [
                    f"What happens when the {o} is done?",
                    f"When does the {n} blink?",
                    f"How do I know that the {o} is ready?",
                ],
            ),
            lambda: (
                f"You can change the {at} on the {n} page.",
                [f"Where can I change the {at}?", f"How do I change the {at}?"],
            ),
            lambda: (
                f'{cap(things)} are {pick(rng, ["refunded", "paid", "covered"])} up to {num2} euros per {u}.',
                [
                    f"How much are {things} refunded?",
                    f"How much is paid for {things}?",
                    f"What is the limit for {things}?",
                ],
            ),
            lambda: (
                f"Do not {v} the {n} while it is {st}.",
                [
                    f"When must I not {v} the {n}?",
                    f"Can I {v} the {n} while it is {st}?",
                ],
            ),
            lambda: (
                f"Before you {v} the {n}, {v2} the {o}.",
                [
                    f"What must I do before I {v} the {n}?",
                    f"What comes before I {v} the {n}?",
                ],
            ),
            lambda: (
                f"To {v} the {n}, press the {o} and wait {num} seconds.",
                [f"How do I {v} the {n}?", f"How can I {v} the {n}?"],
            ),
            lambda: (
                f"The {n} starts at {rng.randint(1, 12)} o'clock and ends at {rng.randint(1, 12)}.",
                [
                    f"When does the {n} start?",
                    f"When does the {n} end?",
                    f"What time is the {n}?",
                ],
            ),
            lambda: (
                f"Send the {n} back within {num} {u}s.",
                [
                    f"How long can I send the {n} back?",
                    f"When must I send the {n} back?",
                    f"Can I return the {n}?",
                ],
            ),
            lambda: (
                f"A {n} costs {num2} euros.",
                [
                    f"How much is a {n}?",
                    f"What does a {n} cost?",
                    f"What is the price of a {n}?",
                ],
            ),
            lambda: (
                f'Store the {n} in a {pick(rng, ["dry", "cool", "dark", "warm", "safe", "clean"])} place at {num} degrees.',
                [f"Where do I store the {n}?", f"How should I store the {n}?"],
            ),
            lambda: (
                f"The {role} checks the {n} {how}.",
                [f"Who checks the {n}?", f"How often is the {n} checked?"],
            ),
            lambda: (
                f'{cap(v)} it with {pick(rng, ["soft", "warm", "clean", "fresh", "cold"])} {stuff} only.',
                [f"What do I {v} it with?", f"Which {stuff} do I need to {v} it?"],
            ),
            lambda: (
                f"{cap(folk)} must {v} the {n} at least {num} {u}s before they {v2}.",
                [
                    f"When must {folk} {v} the {n}?",
                    f"What must {folk} do before they {v2}?",
                ],
            ),
            lambda: (
                f'Use the {n} and {num} {pick(rng, ["spoons", "drops", "cups", "pinches", "bags"])} of {stuff}.',
                [f"How much {stuff} do I use?", f"What do I use with the {n}?"],
            ),
            lambda: (
                f'Switch the {n} off and let it {pick(rng, ["cool", "dry", "rest", "run out"])} for {num} {u}s.',
                [
                    f"How long must the {n} cool?",
                    f"How do I cool the {n}?",
                    f"What do I do with the {n}?",
                ],
            ),
            lambda: (
                f"Our {n} opened in {pick(rng, PLACES)} in {rng.randint(1950, 2029)}.",
                [f"When did our {n} open?", f"Where did the {n} open?"],
            ),
            lambda: (
                f'{cap(folk)} may use the {n} from {rng.randint(1, 12)} to {rng.randint(1, 12)} on {pick(rng, ["weekdays", "Sundays", "holidays", "Mondays"])}.',
                [f"When may {folk} use the {n}?", f"Who may use the {n}?"],
            ),
        ],
    )()


def fact(rng, s=None, level=1.0):
    """(sentence, [questions]) about one fresh fact, of subject `s` where given."""
    if not s and coin(rng, 0.5):
        return plain(rng)
    if not s and coin(rng, 0.2 * level):
        return loose(rng)
    s, o = s or subject(rng), subject(rng)
    a, b = pick(rng, VERB_DO), pick(rng, VERB_USE)
    at = pick(rng, ATTR) if coin(rng, 0.7) else f"{pick(rng, ADJ)} {pick(rng, ATTR)}"
    v, q, p, d, pl = (
        value(rng),
        quantity(rng),
        person(rng),
        date(rng),
        pick(rng, PLACES),
    )
    obj = pick(
        rng,
        [
            lambda: plural(rng),
            lambda: f"{pick(rng, ADJ)} {plural(rng)}",
            lambda: q,
            lambda: f"the {thing(rng)}",
        ],
    )()
    ev = pick(
        rng,
        [
            "fails",
            "is full",
            "stops",
            "is missing",
            "is too hot",
            "is empty",
            "breaks",
            "times out",
            "is locked",
            "is busy",
            "turns red",
            "overflows",
        ],
    )
    act = f'{a[0]} {pick(rng, [o, "it"])}'
    w = pick(rng, words())
    return pick(
        rng,
        [
            lambda: (
                f"The {at} of {s} is {v}.",
                [
                    f"What is the {at} of {s}?",
                    f"Which {at} does {s} have?",
                    f"Tell me the {at} of {s}.",
                    f"{s} {at}?",
                ],
            ),
            lambda: (
                f"{cap(s)} has a {at} of {v}.",
                [f"What {at} does {s} have?", f"What is the {at} of {s}?"],
            ),
            lambda: (
                f"To {a[0]} {s}, run {command(rng)}.",
                [
                    f"How do I {a[0]} {s}?",
                    f"How can I {a[0]} {s}?",
                    f"Which command {a[1]} {s}?",
                ],
            ),
            lambda: (
                (
                    f'{cap(s)} can be {a[0]}{"" if a[0][-1] in "e" else ""}d with {command(rng)}.'
                    if a[0][-1] == "e"
                    else f"Use {command(rng)} to {a[0]} {s}."
                ),
                [f"How do I {a[0]} {s}?", f"What do I use to {a[0]} {s}?"],
            ),
            lambda: (
                f"{cap(s)} {b[1]} {obj}.",
                [f"What does {s} {b[0]}?", f"Tell me what {s} {b[1]}."],
            ),
            lambda: (
                f"{cap(s)} {b[1]} {obj} in {pick(rng, [path(rng), o, pl])}.",
                [f"Where does {s} {b[0]} {obj}?"],
            ),
            lambda: (
                f"{cap(s)} {b[1]} {obj} every {q}.",
                [f"How often does {s} {b[0]} {obj}?", f"When does {s} {b[0]} {obj}?"],
            ),
            lambda: (
                f"{cap(s)} {b[1]} {several(rng, pick(rng, [plural, lambda rng: pick(rng, COLORS), lambda rng: pick(rng, words()), proper]))}.",
                [f"What does {s} {b[0]}?", f"Which things does {s} {b[0]}?"],
            ),
            lambda: (
                f'{cap(s)} was {pick(rng, ["founded", "designed", "built", "written", "approved", "installed", "opened", "invented"])} by {p} in {rng.randint(1900, 2030)}.',
                [
                    f"Who made {s}?",
                    f"When was {s} made?",
                    f"Who is behind {s}?",
                    f"In which year was {s} built?",
                ],
            ),
            lambda: (
                f'{p} {pick(rng, ["maintains", "owns", "manages", "operates", "runs"])} {s}.',
                [
                    f"Who maintains {s}?",
                    f"Who is responsible for {s}?",
                    f"Who owns {s}?",
                    f"Who runs {s}?",
                ],
            ),
            lambda: (
                f"{cap(s)} is located in {pl}.",
                [f"Where is {s}?", f"Where is {s} located?", f"In which city is {s}?"],
            ),
            lambda: (
                f'{cap(s)} costs {number(rng)} {pick(rng, ["euros", "dollars", "pounds", "francs"])}.',
                [
                    f"How much does {s} cost?",
                    f"What is the price of {s}?",
                    f"What does {s} cost?",
                ],
            ),
            lambda: (
                f"{cap(s)} takes {q} to {a[0]}.",
                [
                    f"How long does {s} take to {a[0]}?",
                    f"How much time does it take to {a[0]} {s}?",
                ],
            ),
            lambda: (
                f"If {s} {ev}, {act}.",
                [
                    f"What should I do if {s} {ev}?",
                    f"What if {s} {ev}?",
                    f"{cap(s)} {ev}. What now?",
                ],
            ),
            lambda: (
                f"When {s} {ev}, {o} {a[1]} the {thing(rng)}.",
                [f"What happens when {s} {ev}?", f"What does {o} do when {s} {ev}?"],
            ),
            lambda: (
                f'{cap(s)} is {pick(rng, ["a", "the"])} {thing(rng)} that {b[1]} {obj}.',
                [f"What is {s}?", f"Explain {s}.", f"Describe {s}."],
            ),
            lambda: (
                f"{cap(s)} is made of {pick(rng, MATERIALS)}.",
                [f"What is {s} made of?", f"Which material is {s} made of?"],
            ),
            lambda: (
                f"{cap(s)} must not exceed {q}.",
                [
                    f"What is the limit of {s}?",
                    f"What must {s} not exceed?",
                    f"How much may {s} reach?",
                ],
            ),
            lambda: (
                f"{cap(s)} opens on {d}.",
                [f"When does {s} open?", f"On which date does {s} open?"],
            ),
            lambda: (
                f"Only {several(rng, lambda rng: pick(rng, [plural(rng), person(rng)]))} may {a[0]} {s}.",
                [f"Who may {a[0]} {s}?", f"Who is allowed to {a[0]} {s}?"],
            ),
            lambda: (
                f'The {pick(rng, ["option", "flag", "setting", "field", "key"])} {pick(rng, [flag(rng), w])} {a[1]} {s}.',
                [f"Which option {a[1]} {s}?", f"How do I {a[0]} {s}?"],
            ),
            lambda: (
                f'{cap(s)} needs {q} of {pick(rng, ["memory", "disk space", "water", "power", "time", "fuel", "storage"])}.',
                [f"How much does {s} need?", f"What does {s} need?"],
            ),
            lambda: (
                f"{cap(s)} listens on port {rng.randint(20, 65000)}.",
                [
                    f"Which port does {s} listen on?",
                    f"On which port does {s} listen?",
                    f"What is the port of {s}?",
                ],
            ),
            lambda: (
                f"By default, {s} {b[1]} {obj}.",
                [f"What does {s} {b[0]} by default?", f"What is the default of {s}?"],
            ),
            lambda: (
                f"{cap(s)} does not {b[0]} {obj}.",
                [f"Does {s} {b[0]} {obj}?", f"What does {s} not {b[0]}?"],
            ),
            lambda: (
                f"{cap(s)} supports {several(rng, proper)}.",
                [
                    f"What does {s} support?",
                    f"Which formats does {s} support?",
                    f"Does {s} support many formats?",
                ],
            ),
        ],
    )()


def reword(rng, q):
    """Typing habits: case, a missing question mark, a please."""
    if coin(rng, 0.12):
        q = q.lower()
    if coin(rng, 0.1):
        q = q.rstrip("?.")
    if coin(rng, 0.06):
        q = "Please tell me: " + q
    return q


GROUNDED = [
    "Answer from the passages and cite them.",
    "Answer only from the numbered passages. After each sentence give its passage number like [2]. If the passages do not contain the answer, say so.",
    "Use the passages. Cite them.",
    "You answer questions about the documents. Cite the passage number.",
]


def grounded(rng, level=1.0):
    """Passages and a question.

    `level` 0 is one short passage, 1 is up to four of up to three facts with
    shared subjects.
    """
    passages, facts = [], []
    subjects = [
        subject(rng) for _ in range(rng.randint(1, 3))
    ]  # facts that share one: only their verbs tell them apart
    for _ in range(rng.randint(1, 1 + round(3 * level))):
        fs = [
            fact(rng, pick(rng, subjects) if coin(rng, 0.35 * level) else None, level)
            for _ in range(rng.randint(1, 1 + round(2 * level)))
        ]
        facts.append(fs)
        passages.append(" ".join(f[0] for f in fs))
    k = rng.randrange(len(passages))
    s, qs = pick(rng, facts[k])
    if coin(rng, 0.14):
        q, answer = (
            pick(
                rng,
                fact(rng, pick(rng, subjects) if coin(rng, 0.3) else None, level)[1],
            ),
            STOP,
        )
    else:
        q, answer = pick(rng, qs), f"{s} [{k + 1}]"
    titled, gap = coin(rng, 0.5), pick(rng, ["\n", "\n", "\n\n"])
    body = gap.join(
        f'[{i + 1}] {cap(thing(rng)) + pick(rng, [": ", chr(10)]) if titled else ""}{p}'
        for i, p in enumerate(passages)
    )
    if answer != STOP and coin(rng, 0.15):
        q, answer = f"Which passage says: {s}", f"[{k + 1}]"
    q = reword(rng, cap(q))
    ask = (
        f"Question: {q}\n\n" if coin(rng, 0.65) else ""
    )  # said before and after the passages, it is easier to find
    return [
        ("system", pick(rng, GROUNDED)),
        ("user", f"{ask}{body}\n\nQuestion: {q}"),
        ("assistant", answer),
    ]


def extraction(rng):
    """Fields of a sentence as JSON."""
    n, d, num, pl, th = (
        person(rng),
        date(rng),
        number(rng),
        pick(rng, PLACES),
        thing(rng),
    )
    fields = {"name": n, "date": d, "amount": num, "city": pl, "item": th}
    texts = [
        (f"On {d}, {n} from {pl} paid {num} euros for the {th}.", list(fields)),
        (f"{n} ordered the {th} on {d}.", ["name", "item", "date"]),
        (
            f"Invoice for {n}: {th}, {num} dollars, due {d}.",
            ["name", "item", "amount", "date"],
        ),
        (f"The {th} was delivered to {n} in {pl}.", ["item", "name", "city"]),
        (f"{n} lives in {pl} and owes {num} pounds.", ["name", "city", "amount"]),
        (
            f"Dear team, the {th} broke on {d}. Regards, {n}, {pl}",
            ["item", "date", "name", "city"],
        ),
    ]
    t, have = pick(rng, texts)
    ask = rng.sample(have, rng.randint(1, len(have)))
    return [
        (
            "system",
            pick(
                rng,
                [
                    "Reply with one JSON object.",
                    "Extract the fields as JSON. Copy values exactly.",
                ],
            ),
        ),
        ("user", f'Extract {", ".join(ask)} from: {t}'),
        ("assistant", json.dumps({k: fields[k] for k in ask})),
    ]


def tool_call(rng):
    """The constrained tool format: {"tool", "args"} to call, {"reply"} to answer."""
    if coin(rng, 0.6):
        op, word = pick(
            rng, [("+", "plus"), ("-", "minus"), ("*", "times"), ("/", "divided by")]
        )
        a, b = number(rng), number(rng)
        ask = pick(
            rng,
            [
                f"What is {a} {op} {b}?",
                f"What is {a} {word} {b}?",
                f"Calculate {a} {op} {b}.",
                f"How much is {a} {word} {b}?",
                f"{a} {op} {b}",
            ],
        )
        call, result = {
            "tool": "calculator",
            "args": {"expression": f"{a} {op} {b}"},
        }, pick(rng, [number(rng), f"{rng.randint(1, 99999)}.{rng.randint(0, 99)}"])
        said = f"{a} {op} {b} is {result}."
    else:
        ask = pick(
            rng,
            [
                "What time is it?",
                "What is the date today?",
                "Which day is it?",
                "Tell me the time.",
                "What's the current time?",
            ],
        )
        call, result = {
            "tool": "clock",
            "args": {},
        }, f"{date(rng)} {rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
        said = f"It is {result}."
    return [
        (
            "system",
            pick(
                rng,
                [
                    "Tools: calculator, clock.",
                    "Use the tools calculator and clock. Reply with one JSON object.",
                ],
            ),
        ),
        ("user", ask),
        ("assistant", json.dumps(call)),
        ("user", f"Result: {result}"),
        ("assistant", json.dumps({"reply": said})),
    ]


def alert(rng):
    """A reading and its limit: OK or ALERT."""
    s = f"{pick(rng, ADJ)} {pick(rng, NOUNS)}"
    at = pick(
        rng,
        [
            "temperature",
            "pressure",
            "voltage",
            "speed",
            "level",
            "humidity",
            "vibration",
            "current",
            "power",
        ],
    )
    lim, val = rng.randint(100, 999), rng.randint(100, 999)
    if coin(rng, 0.4):
        val = (
            min(999, lim + rng.randint(1, 60))
            if coin(rng)
            else max(100, lim - rng.randint(1, 60))
        )
    state = f'The {at} of the {s} is {val}, its limit is {lim}: {"ALERT" if val > lim else "OK"}.'
    return [
        ("system", "Report on the reading."),
        ("user", json.dumps({"sensor": s, "quantity": at, "value": val, "limit": lim})),
        ("assistant", state),
    ]


TALK = [
    (
        ["Hello", "Hi", "Hi there!", "Hey", "Good morning", "Good evening"],
        ["Hello! Ask me about your documents."],
    ),
    (
        ["Who are you?", "What are you?", "What is your name?", "Are you Phi-3?"],
        ["I am the tinyphi demo model, a very small model in the Phi-3 architecture."],
    ),
    (
        ["What can you do?", "Help", "How can you help me?"],
        [
            "I can answer from passages, extract JSON, call a tool and watch readings. Load a Phi-3 model for the rest."
        ],
    ),
    (["Thanks", "Thank you!", "Thanks a lot"], ["You are welcome."]),
    (["Bye", "Goodbye", "See you"], ["Goodbye!"]),
    (
        [
            "Tell me a joke",
            "Write a poem",
            "Write a story about a fox",
            "Explain quantum physics",
            "Who is the president?",
            "Translate this to French",
        ],
        ["I am only a demo model. Load a Phi-3 model for that."],
    ),
]


def talk(rng):
    """A little small talk."""
    asks, says = pick(rng, TALK)
    turn = [("user", reword(rng, pick(rng, asks))), ("assistant", pick(rng, says))]
    return (
        [("system", pick(rng, ["You are a helpful assistant.", "Be brief."]))]
        if coin(rng, 0.3)
        else []
    ) + turn


SKILLS = [
    (grounded, 0.7),
    (extraction, 0.12),
    (tool_call, 0.07),
    (alert, 0.07),
    (talk, 0.04),
]


def repeat(rng):
    """The first lesson: say again what was said."""
    text = pick(
        rng,
        [
            lambda: " ".join(
                pick(
                    rng,
                    [
                        pick(rng, words()),
                        pick(rng, NUMW),
                        pick(rng, LINK),
                        pseudo(rng),
                        number(rng),
                        pick(rng, NOUNS),
                    ],
                )
                + pick(rng, ["", "", "", ",", "."])
                for _ in range(rng.randint(3, 16))
            ),
            lambda: fact(rng)[0],
            lambda: several(rng, lambda rng: pick(rng, words())),
            lambda: command(rng),
            lambda: several(rng, value),
        ],
    )()
    return [("user", "Repeat: " + text), ("assistant", text)]


def conversation(rng, level=1.0):
    """One example: mostly one of the SKILLS, at first often `repeat`."""
    if rng.random() < 0.4 * (1 - level) + 0.05:
        return repeat(rng)
    k = rng.random()
    for f, share in SKILLS:
        if k < share:
            return f(rng, level) if f is grounded else f(rng)
        k -= share
    return grounded(rng, level)


def render(turns):
    """The Phi-3 chat format."""
    return "".join(f"<|{role}|>\n{text}<|end|>\n" for role, text in turns)


if __name__ == "__main__":
    rng = random.Random(7)
    for _ in range(12):
        print(render(conversation(rng)), end="\n---\n")
