"""Sums up what cargo-llvm-cov counted by the parts of the core: `make coverage`."""

import json
import sys
from collections import defaultdict


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        files = json.load(file)["data"][0]["files"]
    parts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for each in files:
        _, _, inside = each["filename"].rpartition("/src/")
        lines, regions = each["summary"]["lines"], each["summary"]["regions"]
        for part in (inside.split("/")[0].removesuffix(".rs"), "all"):
            for at, value in enumerate((lines["count"], lines["covered"], regions["count"], regions["covered"])):
                parts[part][at] += value
    print("| part | lines | reached | regions | reached |\n| --- | ---: | ---: | ---: | ---: |")
    for part, (lines, reached, regions, reached_regions) in sorted(parts.items(), key=lambda it: (it[0] == "all", it[0])):
        print(f"| `{part}` | {lines:,} | {reached / lines:.1%} | {regions:,} | {reached_regions / regions:.1%} |")


if __name__ == "__main__":
    main(sys.argv[1])
