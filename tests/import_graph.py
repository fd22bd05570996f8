"""`make graph`: every room with the rooms that it imports, those of its own package without the package's name."""

from __future__ import annotations

from collections import defaultdict

import grimp

PACKAGES = ("cli", "schedules", "tasks", "api", "engine", "models", "config")


def main() -> None:
    graph = grimp.build_graph(*PACKAGES)

    def room(module: str) -> str:
        package, *rest = module.split(".")
        below = ".".join([package, *rest[:1]])
        return below if rest and (package == "engine" or graph.find_children(below)) else package

    imports = defaultdict(set)
    for module in graph.modules:
        imports[room(module)] |= set(map(room, graph.find_modules_directly_imported_by(module)))
    for name in sorted(imports, key=lambda each: (PACKAGES.index(each.partition(".")[0]), each)):
        own = name.partition(".")[0] + "."
        print(f"{name:22}", *sorted(each.removeprefix(own) for each in imports[name] - {name}))


if __name__ == "__main__":
    main()
