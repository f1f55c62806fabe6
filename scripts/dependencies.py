#!/usr/bin/env python3
"""Holds what Tollgate is built of against deny.toml, and every dependency that a manifest names against the code.

Fails, and says what to do, when
- a package that ships has a licence that deny.toml does not allow,
- a package ships in two versions and deny.toml does not say that this is known,
- deny.toml bans a package that ships, or speaks of one that does not,
- a manifest names a dependency that no code of its package uses.

What ships is the package `tollgate` with its default features and everything that it is built with, on the platforms that deny.toml
names. Asks cargo for it and reads the code: no network, no build.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# In a manifest for another reason than being called: a comment there says which.
NEVER_CALLED = {("tollgate", "virtual-net"), ("billing", "icu_provider"), ("billing", "sqlx-core")}


def main():
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    ships = shipped(rules["graph"]["targets"])
    faults = [*licences(ships, rules["licenses"]), *versions(ships, rules["bans"]), *unused()]
    for fault in faults:
        print(f"dependencies: {fault}", file=sys.stderr)
    if not faults:
        print(f"dependencies: {len(ships)} packages ship; their licences and versions, and the use of each, are in order")
    return bool(faults)


def cargo(*arguments):
    told = subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE)
    return told.stdout


def shipped(targets):
    """The packages that ship, as {(name, version): licence}; the licence is empty where a manifest names none."""
    found = {}
    for target in targets:
        lines = cargo(
            "tree", "--locked", "--package=tollgate", "--edges=normal,build", "--prefix=none", "--format={p}|{l}",
            f"--target={target}",
        )  # fmt: skip
        for line in lines.splitlines():
            package, _, licence = line.removesuffix(" (*)").partition("|")
            name, version = package.split()[:2]
            found[name, version.removeprefix("v")] = licence
    return found


def licences(ships, rules):
    allowed = set(rules["allow"])
    exceptions = {each["crate"]: set(each["allow"]) for each in rules.get("exceptions", [])}
    clarified = {each["crate"]: each["expression"] for each in rules.get("clarify", [])}
    for name in sorted((exceptions.keys() | clarified.keys()) - {name for name, _ in ships}):
        yield f"deny.toml speaks of the licence of {name}, which does not ship: take it out"
    for (name, version), licence in sorted(ships.items()):
        expression = clarified.get(name, licence)
        if not expression:
            yield f"{name} {version} names no licence: read its files, and clarify it in deny.toml"
        elif not satisfied(expression, allowed | exceptions.get(name, set())):
            yield f"{name} {version} is licensed under {expression}, which deny.toml does not allow"


def satisfied(expression, allowed):
    """Whether an SPDX expression (https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions) holds with these licences; a
    slash is an `OR`, as in manifests of old."""
    words = re.findall(r"\(|\)|[^\s()]+", re.sub(r"\s*/\s*", " OR ", expression))

    def either():
        holds = both()
        while words and words[0] == "OR":
            words.pop(0)
            holds = both() or holds
        return holds

    def both():
        holds = one()
        while words and words[0] == "AND":
            words.pop(0)
            holds = one() and holds
        return holds

    def one():
        word = words.pop(0)
        if word == "(":
            holds = either()
            words.pop(0)
            return holds
        if words and words[0] == "WITH":
            words.pop(0)
            word = f"{word} WITH {words.pop(0)}"
        return word in allowed

    return either()


def versions(ships, rules):
    every = defaultdict(set)
    for name, version in ships:
        every[name].add(version)
    for ban in rules["deny"]:
        if ban["crate"] in every:
            yield f"{ban['crate']} must not ship: {ban['reason']}"
    known = {each["crate"] for each in rules["skip"]}
    for name, of_it in sorted(every.items()):
        if len([version for version in of_it if f"{name}@{version}" not in known]) > 1:
            yield (
                f"{name} ships as {', '.join(sorted(of_it))}: use one of them (`cargo tree -d` says who wants which), "
                "or name the older one under bans.skip in deny.toml"
            )
    doubled = {f"{name}@{version}" for name, of_it in every.items() if len(of_it) > 1 for version in of_it}
    for name in sorted(known - doubled):
        yield f"deny.toml skips {name}, which is no second version of anything: take it out"


def unused():
    for package in json.loads(cargo("metadata", "--locked", "--no-deps", "--format-version=1"))["packages"]:
        directory = Path(package["manifest_path"]).parent
        files = {Path(target["src_path"]) for target in package["targets"]}
        files |= {file for place in ("src", "tests") for file in (directory / place).rglob("*.rs")}
        code = "\n".join(file.read_text() for file in files)
        for dependency in package["dependencies"]:
            name = dependency["name"]
            # The library of `async-stripe-client-core` is `stripe_client_core`.
            words = {name.replace("-", "_"), name.removeprefix("async-").replace("-", "_")}
            if (package["name"], name) in NEVER_CALLED or any(re.search(rf"\b{word}\b", code) for word in words):
                continue
            yield f"{package['name']} does not use {name}: take it out of {directory.relative_to(ROOT)}/Cargo.toml"


if __name__ == "__main__":
    sys.exit(main())
