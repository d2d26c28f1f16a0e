"""The page on paper, as Chromium prints it: A4 and Letter, headers on each page, and no row on two of them."""

import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from rater.files.statement import rendered
from rater.files.statement.model import Sum
from tests.statement.sample import sample

BROWSER = shutil.which("chromium")
TO_TEXT = shutil.which("pdftotext")
pytestmark = pytest.mark.skipif(
    BROWSER is None or TO_TEXT is None, reason="they print the page: apt install chromium poppler-utils"
)
USERS = 120
#: Of Chromium's paper, in points.
PAPER = {"A4": (595, 842), "Letter": (612, 792)}


@pytest.mark.parametrize("paper", PAPER)
def test_the_page_on_paper(tmp_path: Path, paper: str) -> None:
    """120 users whose names take two lines: each page of theirs has the header, and each name is whole on one page."""
    users = tuple(Sum(f"user-{number:03d}-{'x' * 60}-end-{number:03d}", 1, 1, 0, 10_000) for number in range(USERS))
    page = rendered(msgspec.structs.replace(sample(), users=users), "html").decode()
    (tmp_path / "page.html").write_text(page.replace("@page {", f"@page {{ size: {paper};", 1), "utf-8")
    words = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    out = tmp_path / "page.pdf"
    subprocess.run(
        [*map(str, words), "--no-pdf-header-footer", f"--print-to-pdf={out}", f"file://{tmp_path}/page.html"],
        check=True,
        timeout=240,
        capture_output=True,
    )
    made = subprocess.run([str(TO_TEXT), "-bbox", str(out), "-"], check=True, capture_output=True, text=True).stdout
    pages = made.split("<page ")[1:]
    sizes = {
        tuple(round(float(side)) for side in re.findall(r'(?:width|height)="([\d.]+)"', each)[:2]) for each in pages
    }
    assert sizes == {PAPER[paper]}
    begun = [set(re.findall(r"user-(\d{3})-", each)) for each in pages]
    ended = [set(re.findall(r"end-(\d{3})<", each)) for each in pages]
    assert begun == ended
    assert sum(map(len, begun)) == USERS
    of_users = [each for each, names in zip(pages, begun, strict=True) if names]
    assert len(of_users) > 2
    assert [each for each in of_users if ">User<" not in each or ">Amount<" not in each] == []
