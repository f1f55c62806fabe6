#!/usr/bin/env python3
"""Prints the licences of all that ships in the binary, each text once, with the packages that it is of.

The packages are those that scripts/dependencies.py holds against deny.toml; their texts are in the sources that cargo has fetched.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

from dependencies import cargo, shipped

NAMES = ("license", "licence", "copying", "notice", "copyright", "unlicense")


def main(target):
    ships = shipped([target])
    sources = {
        (package["name"], package["version"]): Path(package["manifest_path"]).parent
        for package in json.loads(cargo("metadata", "--locked", "--format-version=1"))["packages"]
        if package["source"]
    }
    packages, bare = defaultdict(list), []
    for key, licence in sorted(ships.items()):
        if key not in sources:
            continue
        label = f"{key[0]} {key[1]} ({licence})"
        found = texts(sources[key])
        for text in found:
            packages[text].append(label)
        if not found:
            bare.append(label)
    print("Tollgate is licensed under the Apache License 2.0. It is built of these packages, under these licences.")
    for text, labels in sorted(packages.items(), key=lambda each: each[1]):
        print(f"\n{'=' * 100}\n" + "\n".join(labels) + f"\n{'-' * 100}\n{text}")
    if bare:
        print(f"\n{'=' * 100}\nOf these the sources hold no text; their manifests name the licence:\n" + "\n".join(bare))


def texts(source):
    """The texts that a package's sources hold of its licences, without blanks at the ends of lines."""
    files = (file for file in sorted(source.iterdir()) if file.is_file() and file.name.lower().startswith(NAMES))
    every = (file.read_text(errors="replace") for file in files if file.suffix not in (".rs", ".html"))
    return list(dict.fromkeys("\n".join(line.rstrip() for line in text.strip().splitlines()) for text in every))


if __name__ == "__main__":
    main(sys.argv[1])
