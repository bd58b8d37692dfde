"""Draws what people get, for docs/notices.md: `python tests/e2e/pictures.py` after a snapshot of tests/notices.rs changed.

The texts are those of the snapshot, so a picture never shows what the program does not send.
"""

import json
import textwrap
from html import escape, unescape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOT = ROOT / "tests" / "snapshots" / "notices__remediated.snap"
PICTURES = ROOT / "docs" / "pictures"
COLUMNS = 104  # characters of a line
LINE = 17  # points
CHARACTER = 7.2

Line = tuple[str, str]  # style, text
STYLES = {
    "head": "font-weight:bold;font-size:15px",
    "text": "",
    "code": "fill:#9a3412",
    "dim": "fill:#64748b",
    "link": "fill:#1d4ed8",
}


def forms() -> dict[str, str]:
    """The parts of the snapshot by name."""
    _, _, body = SNAPSHOT.read_text().split("---\n", 2)
    email, q, slack, record = (body.split(f"--- {name} ---\n") for name in ("Amazon Q", "Slack", "record", "end"))
    return {
        "email": email[0],
        "q": q[0].split("--- Amazon Q ---\n")[1],
        "slack": slack[0].split("--- Slack ---\n")[1],
        "record": record[0].split("--- record ---\n")[1],
    }


def email(text: str) -> list[Line]:
    subject, body = text.split("\n\n", 1)
    lines = (("code" if line.startswith("    ") else "text", line) for line in body.splitlines())
    return [("head", subject), ("text", ""), *lines]


def fenced(text: str) -> list[Line]:
    """Markdown, of which only fences mean something here."""
    lines: list[Line] = []
    for number, part in enumerate(text.split("```")):
        lines += [("code" if number % 2 else "text", line) for line in part.strip("\n").splitlines()]
    return lines


def q(text: str) -> list[Line]:
    message = json.loads(text)
    content = message["content"]
    steps = [("text", f"{number}. {step}") for number, step in enumerate(content["nextSteps"], start=1)]
    keywords = ("dim", " · ".join(content["keywords"]))
    empty = ("text", "")
    text = fenced(content["description"])
    return [("head", content["title"]), empty, *text, empty, ("head", "Next steps"), *steps, keywords]


def slack(text: str) -> list[Line]:
    lines: list[Line] = []
    for block in json.loads(text)["blocks"]:
        match block["type"]:
            case "header":
                lines.append(("head", unescape(block["text"]["text"])))
            case "section":
                lines += [("text", ""), *fenced(unescape(block["text"]["text"]))]
            case "divider":
                lines += [("text", ""), ("dim", "─" * 40)]
            case "actions":
                buttons = "   ".join(f"[ {unescape(each['text']['text'])} ]" for each in block["elements"])
                lines += [("text", ""), ("link", buttons)]
    return lines


def record(text: str) -> list[Line]:
    return [("code", line) for line in text.strip().splitlines()]


def draw(title: str, lines: list[Line]) -> str:
    """An SVG of these lines, wrapped."""
    wrapper = textwrap.TextWrapper(
        COLUMNS, subsequent_indent="    ", drop_whitespace=False, replace_whitespace=False
    )
    wrapped = [(style, part) for style, line in lines for part in wrapper.wrap(line) or [""]]
    width, height = int(COLUMNS * CHARACTER) + 60, (len(wrapped) + 3) * LINE
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}">',
        '<rect width="100%" height="100%" rx="8" fill="#f8fafc" stroke="#cbd5e1"/>'
        '<rect width="6" height="100%" fill="#dc2626"/>',
        '<g font-family="ui-monospace,Menlo,Consolas,monospace" font-size="12" fill="#0f172a" xml:space="preserve">',
    ]
    for number, (style, text) in enumerate(wrapped, start=2):
        out.append(f'<text x="24" y="{number * LINE}" style="white-space:pre;{STYLES[style]}">{escape(text)}</text>')
    return "\n".join([*out, "</g></svg>\n"])


def pictures() -> dict[str, str]:
    """Every picture by file name."""
    parts = forms()
    drawn = {"email": email, "q": q, "slack": slack, "record": record}
    return {f"{name}.svg": draw(f"a closed rule as {name}", make(parts[name])) for name, make in drawn.items()}


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for name, text in pictures().items():
        (PICTURES / name).write_text(text)
