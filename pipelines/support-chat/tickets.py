#!/usr/bin/env python3
"""Opens a ticket: a line of tickets/list.txt, whose number is the line's."""
import json
import pathlib
import sys

asked = json.loads(sys.stdin.readline())
tickets = pathlib.Path(__file__).parent / "tickets/list.txt"
with tickets.open("r+", encoding="utf-8") as file:
    number = len(file.readlines()) + 1
    file.write(asked["in"]["title"].replace("\n", " ") + "\n")
print(json.dumps({"id": asked["id"], "out": {"number": f"T-{number}"}}))
