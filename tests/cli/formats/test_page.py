"""Pages, drawings and LaTeX of hostile names; a real browser sends nothing."""

import http.server
import json
import re
import shutil
import subprocess
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from plt.cli.formats.latex import escape_latex, to_latex
from plt.cli.formats.page import Fold, Page, Section, to_page
from plt.cli.formats.svg import to_svg
from plt.cli.shell.pictures import Axis, Mark, Picture, Series
from plt.cli.shell.streams import Heading, Line, Table
from tests.cli.formats.hostile import hostile

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Skeleton(HTMLParser):
    """Tags and attributes of a page, without its texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def skeleton(text: str) -> Skeleton:
    found = Skeleton()
    found.feed(text)
    found.close()
    return found


def picture(name: str) -> Picture:
    marks = (Mark(name, 1.0, 0.5, 1.5, 10.0, said=name), Mark(name, None))
    return Picture("p", name, name, Axis(name), (Series(name, marks),), Axis(name, log=True))


def page(name: str) -> Page:
    """A page that says a name in every place that takes one."""
    table = Table((name, "n"), ((name, "1.5 [1.0, 2.0]"), (name, "-")), name, frozenset({"n"}))
    blocks = (Heading(name), Line(name), table, picture(name))
    people = Table(("#", "user"), (("1", name),))
    sections = (
        Section("all", name, blocks),
        Section("people", name, (people,), (Fold(name, table),), linked=True),
        Section("more", name, (Line(name),), closed=True),
    )
    return Page(name, name, ((name, (name,)),), sections, (name,))


@pytest.mark.parametrize("name", hostile(), ids=range(len(hostile())))
def test_names_are_texts_and_nothing_else(name: str) -> None:
    """The skeleton of a page is that of a page with a tame name, and every text is there whole."""
    found, tame = skeleton(to_page(page(name))), skeleton(to_page(page("tame")))
    assert found.tags == tame.tags
    assert "{{" in name or "49" not in "".join(found.texts)
    assert len(found.texts) == len(tame.texts)


def test_a_page_is_self_contained_and_its_policy_names_its_own_script() -> None:
    text = to_page(page("a"))
    found = skeleton(text)
    policy = dict(
        next(a for tag, a in found.tags if ("http-equiv", "Content-Security-Policy") in a)
    )
    assert policy["content"] is not None
    assert policy["content"].startswith("default-src 'none'; base-uri 'none'; form-action 'none'")
    assert "unsafe" not in policy["content"]
    attributes = {name for _, attrs in found.tags for name, _ in attrs}
    assert not attributes & {"src", "style", "srcset", "action", "data", "poster", "background"}
    assert not any(name.startswith("on") for name in attributes)
    links = [value for _, attrs in found.tags for name, value in attrs if name == "href"]
    assert links
    assert all(link is not None and re.fullmatch(r"#[a-z]+(-\d+)?", link) for link in links)
    ids = [value for _, attrs in found.tags for name, value in attrs if name == "id"]
    assert {str(link).removeprefix("#") for link in links} <= set(ids)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", hostile(), ids=range(len(hostile())))
def test_drawings_are_well_formed_and_described(name: str) -> None:
    for drawn in (picture(name), Picture("f", name, name, Axis(name), picture(name).series)):
        root = ET.fromstring(to_svg(drawn))
        names = {element.tag.partition("}")[2] for element in root.iter()}
        assert names == {"svg", "title", "desc", "line", "circle", "text"}
        assert root.get("role") == "img"
        title, description = root[0], root[1]
        assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        assert (title.text or "").strip() != ""


def test_a_forest_puts_figures_where_their_axis_says() -> None:
    """Places are linear in the values: the middle of three even values is in the middle."""
    marks = tuple(Mark(str(v), float(v), v - 1.0, v + 1.0) for v in (-3, 0, 3))
    root = ET.fromstring(to_svg(Picture("f", "t", "d", Axis("v"), (Series("s", marks),))))
    circles = [float(e.get("cx", "nan")) for e in root.iter() if e.tag.endswith("circle")]
    assert circles[0] < circles[1] < circles[2]
    assert circles[1] == pytest.approx((circles[0] + circles[2]) / 2, abs=0.11)


def test_points_on_each_other_are_moved_apart() -> None:
    series = tuple(Series(str(i), (Mark(str(i), 0.5, at=100.0),)) for i in range(5))
    drawn = Picture("f", "t", "d", Axis("v"), series, Axis("n", log=True))
    root = ET.fromstring(to_svg(drawn))
    places = [float(e.get("cx", "nan")) for e in root.iter() if e.tag.endswith("circle")]
    assert len({round(place) for place in places[::2]}) == 5


def test_latex_is_obeyed_nowhere() -> None:
    """Every backslash is one of ours, and every special character is behind one."""
    assert escape_latex("-9.0 [a_b] 50 %") == r"$-$9.0 {[}a\_b{]} 50 \%"
    assert escape_latex("é ı 中") == r"\'{e} {[}U+0131{]} {[}U+4E2D{]}"
    ours = re.compile(r"\\(text[a-z]+|char34|ldots)\{\}|\\[{}$&#%_]|\\['`^~\"=.]\{\\?[a-zA-Z]\}"
                      r"|\\[cvru] \{\\?[a-zA-Z]\}|\$(-|\\pm|\\times)\$")  # fmt: skip
    for name in hostile():
        rest = ours.sub("", escape_latex(name))
        assert not re.search(r"[\\$&#%_^~]", rest), rest
        assert rest.isascii()


@pytest.mark.slow
def test_latex_compiles(tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not here")
    table = Table(("name", "n"), tuple((name[:60], "-1.5") for name in hostile()), "a_b",
                  frozenset({"n"}))  # fmt: skip
    (tmp_path / "r.tex").write_text(to_latex((Heading("50 %"), table, Line("a & b"))))
    (tmp_path / "t.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\\input{r}\\end{document}"
    )
    line = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "t.pdf").exists()


@pytest.fixture
def ear() -> Iterator[tuple[str, list[str]]]:
    """An address on this machine, and what is asked of it."""
    asked: list[str] = []

    class Ear(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_a_real_browser_sends_nothing_and_sorts(tmp_path: Path, ear: tuple[str, list[str]]) -> None:
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium is here")
    url, asked = ear
    sections = tuple(
        Section(f"s-{i}", name, page(name).sections[0].blocks)
        for i, name in enumerate(hostile(url))
    )
    made = tmp_path / "page.html"
    made.write_text(to_page(Page("t", "l", (), sections, ())), "utf-8", "backslashreplace")
    # That the address can be reached from a page at all: one that is not ours asks for it.
    (tmp_path / "open.html").write_text(f"<img src='{url}/control'>")
    shown = {}
    for name in ("open.html", "page.html"):
        log = tmp_path / f"{name}.log"
        line = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
                "--virtual-time-budget=3000", "--enable-logging=stderr",
                f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / name).as_uri()]  # fmt: skip
        with log.open("w") as stderr:
            done = subprocess.run(
                line, stdout=subprocess.PIPE, stderr=stderr, timeout=120, check=True
            )
        shown[name] = done.stdout.decode()
        assert "Content Security Policy" not in log.read_text()
    assert asked == ["/control"]
    # Its own script ran: headings of sortable tables are buttons now.
    assert shown["page.html"].count('<button type="button">') >= len(sections)
    assert json.dumps(shown["page.html"]).count("<iframe") == 0
