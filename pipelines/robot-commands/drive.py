#!/usr/bin/env python3
"""Stands for a robot: writes the command down in track.txt."""
import json
import pathlib
import sys

asked = json.loads(sys.stdin.readline())
move = asked["in"]["move"]
with (pathlib.Path(__file__).parent / "track.txt").open("a", encoding="utf-8") as track:
    track.write(f"{move['verb']} {move['amount']}\n")
print(json.dumps({"id": asked["id"], "out": {"reply": f"{move['verb']} {move['amount']}: done"}}))
