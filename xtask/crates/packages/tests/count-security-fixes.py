#!/usr/bin/env python3
"""Counts the security fixes between each pair of releases in a releases.json of Flatcar.

    count-security-fixes.py releases.json

Prints one line per pair, `FROM TO FIXES COMPLETE`; COMPLETE is `no` if the notes do not cover exactly the two releases.
It is written independently of this crate, whose test compares both: sections are cut out of the Markdown with
regular expressions, and the way from a release to an older one is found as a path in a graph.
"""
import json
import re
import sys

SECTION = re.compile(r"^[ _]*Changes since +\**[A-Za-z]+ +([0-9][0-9.]*[0-9])[* _]*$", re.MULTILINE)
HEADING = re.compile(r"^[ ]*(?:#+[^\n]*|\**(?:Security fixes|Updates|Changes|Bug fixes):?\**:?)[ ]*$", re.MULTILINE | re.IGNORECASE)
IDENTIFIER = re.compile(r"\[([A-Za-z0-9._:-]{3,60})\]\(")


def number(release):
    return tuple(int(part) for part in release.split(".")[:3])


def fixes(text):
    """The (package, identifier) pairs below the headings `Security fixes`."""
    found = set()
    starts = [match for match in HEADING.finditer(text)]
    for at, match in enumerate(starts):
        if "security fixes" not in match.group().lower():
            continue
        end = starts[at + 1].start() if at + 1 < len(starts) else len(text)
        for line in text[match.end() : end].splitlines():
            item = re.match(r"^\s*[-*]\s*([^(]+)\((.*)$", line)
            if item:
                found |= {(item.group(1).strip().lower(), name) for name in IDENTIFIER.findall(item.group(2))}
    return found


def edges(entries):
    """For each release the older releases that its notes compare with, and the fixes since."""
    graph = {}
    for release, entry in entries.items():
        notes = entry.get("release_notes", "") if re.fullmatch(r"[0-9.]+", release) else ""
        matches = list(SECTION.finditer(notes))
        ends = [match.start() for match in matches[1:]] + [len(notes)]
        graph[release] = [(match.group(1), fixes(notes[match.end() : end])) for match, end in zip(matches, ends)]
    return graph


def between(graph, old, new):
    """The fixes from `old` to `new`: of the sections of a release, the longest that does not pass `old`."""
    found, release = set(), new
    while number(release) > number(old):
        steps = [step for step in graph.get(release, []) if number(step[0]) < number(release)]
        if not steps:
            return found, False
        inside = [step for step in steps if number(step[0]) >= number(old)]
        base, more = min(inside, key=lambda step: number(step[0])) if inside else max(steps, key=lambda step: number(step[0]))
        found |= more
        if number(base) < number(old):
            return found, False
        release = base
    return found, True


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        graph = edges(json.load(file))
    releases = sorted((release for release in graph if graph[release]), key=number)
    for old in releases:
        for new in releases:
            if number(old) < number(new):
                found, complete = between(graph, old, new)
                print(old, new, len(found), "yes" if complete else "no")


main()
