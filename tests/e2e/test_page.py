"""The page that `audit --format html` writes, in a real browser: filters used, links followed, rules drawn, printed."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from big_page import CLUSTERS, GROUPS, save
from browser import PROGRAM, Browser
from lambda_runtime import bootstrap

ROOT = Path(__file__).parents[2]
CLI = bootstrap().with_name("eks-sg-guard")
AXE = ROOT / ".tools" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
SHOWN = "[...document.querySelectorAll('article')].filter((one) => one.checkVisibility()).length"

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here: the page was not looked at in a browser")


def page(to: Path, *audited: Path) -> Path:
    command = [CLI, "audit", "--format", "html", "--from", *audited]
    said = subprocess.run(command, capture_output=True, cwd=ROOT)
    assert said.returncode in (0, 2), said.stderr
    to.write_bytes(said.stdout)
    return to


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    browser = Browser(tmp_path / "profile", page(tmp_path / "page.html", ROOT / "tests/audit/saved"))
    yield browser
    browser.close()
    assert browser.complaints() == []
    assert browser.requests() == []


def choose(browser: Browser, field: str, value: str) -> str:
    script = f"const one = document.getElementById({field!r}); one.value = {value!r}; one.dispatchEvent(new Event('input'))"
    browser.run(f"(() => {{ {script} }})()")
    return browser.run("document.getElementById('shown').textContent")


def test_each_filter_shows_what_fits_and_says_how_many(browser: Browser) -> None:
    total = browser.run(SHOWN)
    assert total > 5
    for field, value in [("verdict", "revoke"), ("severity", "4"), ("reachable", "yes"), ("check", "kubelet-internet"),
                         ("words", "10250 prod-node")]:
        said = choose(browser, field, value)
        shown = browser.run(SHOWN)
        assert 0 < shown < total and said == f"{shown} of {total} findings", f"{field}: {said}"
        browser.run("document.querySelector('#filters button[type=reset]').click()")
        browser.wait(f"{SHOWN} === {total}")
    choose(browser, "words", "no such thing")
    assert browser.run(SHOWN) == 0


def test_links_lead_somewhere_and_every_rule_is_drawn_when_asked_for(browser: Browser) -> None:
    links = browser.run("[...document.querySelectorAll('a[href^=\"#\"]')].map((one) => one.hash.slice(1))")
    assert all(browser.run(f"document.getElementById({link!r}) !== null") for link in links)
    assert browser.run("document.querySelectorAll('a[href]').length") == len(links), "nothing leads elsewhere"
    assert browser.run("document.querySelectorAll('tbody[id^=rules] tr').length") == 0
    browser.run("document.querySelector('button.rules').click()")
    assert browser.run("document.querySelectorAll('tbody[id^=rules] tr').length") == 14
    assert browser.run("document.querySelector('button.rules').ariaDisabled") == "true"


def test_boxes_and_words_of_the_picture_are_within_it_and_apart(browser: Browser) -> None:
    boxes = browser.run("""
      [...document.querySelectorAll('svg rect.box')].map((one) => {
        const [box, whole] = [one.getBoundingClientRect(), one.ownerSVGElement.getBoundingClientRect()];
        const text = one.parentElement.querySelector('text').getBoundingClientRect();
        const sides = (of) => [of.left, of.right, of.top, of.bottom];
        return [...sides(box), ...sides(whole), text.left, text.right];
      })""")
    assert len(boxes) > 3
    for left, right, top, bottom, far_left, far_right, high, low, start, end in boxes:
        assert far_left <= left < right <= far_right and high <= top < bottom <= low
        assert left <= start and end <= right, "the name is within its box"


def test_it_is_read_in_the_dark_on_a_narrow_screen_and_on_paper(browser: Browser) -> None:
    light = browser.run("getComputedStyle(document.body).backgroundColor")
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert browser.run("getComputedStyle(document.body).backgroundColor") != light
    browser.call("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=False)
    assert browser.run("document.documentElement.scrollWidth") <= 400, "nothing but tables and pictures scrolls sideways"
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = false; })")
    printed = base64.b64decode(browser.call("Page.printToPDF")["data"])
    assert printed.startswith(b"%PDF-") and len(printed) > 10_000


@pytest.mark.skipif(not AXE.exists(), reason=f"{AXE.relative_to(ROOT)} is not there: the page was not looked at by axe")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_axe_finds_nothing(browser: Browser, scheme: str, width: int) -> None:
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
    browser.run("document.querySelector('button.rules').click()")
    browser.run(AXE.read_text() + "; null")
    found = browser.run("axe.run(document, {resultTypes: ['violations']}).then((said) => said.violations)")
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []


def pressed(browser: Browser, key: str, code: int, text: str = "") -> None:
    """As a key on a keyboard: down and up."""
    for kind in ["keyDown", "keyUp"]:
        typed = {"text": text} if text and kind == "keyDown" else {}
        browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **typed)


def test_everything_is_reached_and_used_by_keyboard(browser: Browser) -> None:
    focused = "(document.activeElement.id || document.activeElement.className || document.activeElement.localName)"
    reached, outlines = [], []
    for _ in range(60):
        pressed(browser, "Tab", 9)
        name = browser.run(focused)
        if name == "body" or (reached and name == reached[0]):
            break
        reached.append(name)
        outlines.append(browser.run("getComputedStyle(document.activeElement).outlineStyle"))
        if name == "summary":
            is_open = "document.activeElement.parentElement.open"
            before = browser.run(is_open)
            pressed(browser, "Enter", 13, "\r")
            assert browser.run(is_open) != before
            pressed(browser, "Enter", 13, "\r")
            assert browser.run(is_open) == before
        if name == "rules":
            pressed(browser, "Enter", 13, "\r")
            assert browser.run("document.querySelectorAll('tbody[id^=rules] tr').length") == 14
            assert browser.run(focused) == "rules", "whoever pressed it goes on from there"
    controls = ["words", "verdict", "severity", "reachable", "check", "button", "summary"]
    assert reached[: len(controls)] == controls, reached
    assert {"figure", "table", "pre", "rules"} <= set(reached), "what scrolls, and what is to be copied"
    assert "none" not in outlines, "where one is can be seen"
    browser.run("document.getElementById('words').focus()")
    for letter in "10250":
        pressed(browser, letter, ord(letter), letter)
    assert 0 < browser.run(SHOWN) < 9


# What is promised of a large account, in seconds (docs/benchmarks.md). A machine of CI may be three times as slow.
OPENS, FILTERS, SLOWER = 2.0, 0.2, 3


@pytest.mark.heavy
def test_a_large_account_opens_and_filters_at_once(tmp_path: Path) -> None:
    opened, filtered, count = measured(page(tmp_path / "page.html", save(tmp_path / "account.json")), tmp_path)
    print(f"opens in {opened:.2f} s, filters in {max(filtered):.3f} s, {count} findings")
    assert count > CLUSTERS * GROUPS
    assert opened < SLOWER * OPENS and max(filtered) < SLOWER * FILTERS


def measured(page: Path, folder: Path) -> tuple[float, list[float], int]:
    """Seconds of processor time of the page's main thread: until it is whole, and for each filter; and its findings."""
    blank = folder / "blank.html"
    blank.write_text("<!doctype html><title>blank</title>")
    browser = Browser(folder / "profile", blank)
    try:
        browser.call("Performance.enable", timeDomain="threadTicks")

        def spent() -> float:
            metrics = browser.call("Performance.getMetrics")["metrics"]
            return next(one["value"] for one in metrics if one["name"] == "TaskDuration")

        before = spent()
        browser.call("Page.navigate", url=page.as_uri())
        browser.wait("document.readyState === 'complete' && document.getElementById('shown') !== null")
        opened = spent() - before
        count, filtered = browser.run("document.querySelectorAll('article').length"), []
        drawn = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
        words = [("words", "10250"), ("words", "cluster-7 internet"), ("words", "")]
        for field, value in [*words, ("verdict", "revoke"), ("verdict", "")]:
            before = spent()
            choose(browser, field, value)
            browser.run(drawn)
            filtered.append(spent() - before)
        return opened, filtered, count
    finally:
        browser.close()


def test_text_of_strangers_runs_nothing(tmp_path: Path) -> None:
    hostile = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    saved = tmp_path / "saved"
    saved.mkdir()
    for file in (ROOT / "tests/audit/saved").iterdir():
        text = file.read_text().replace('"prod-node"', '"' + hostile.replace('"', '\\"') + '"')
        (saved / file.name).write_text(text)
    browser = Browser(tmp_path / "profile", page(tmp_path / "page.html", saved))
    try:
        assert browser.run("document.title") != "owned"
        assert browser.run("document.querySelectorAll('img').length") == 0
        assert browser.run(SHOWN) > 5
        assert browser.complaints() == []
    finally:
        browser.close()
