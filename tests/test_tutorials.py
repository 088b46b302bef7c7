"""The tutorial and the how-tos, run from beginning to end as a reader would, in a folder of theirs.

What runs are the shell blocks of a page, in order, in one shell; Python and YAML that a page says
to write into a file are written when the reader comes to them. A block after a comment
`not run: REASON` is left out. Every line of a `text` block has to be printed by the page, `...`
standing for anything.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, blocks

SHIPPED = ("artifacts/released", "pipelines")


@pytest.mark.timeout(1200)  # a minute each on a core of its own
@pytest.mark.parametrize("name", ["tutorial", "howto-stead", "howto-network"])
def test_page_works(name, tmp_path):
    page = ROOT / "docs" / f"{name}.md"
    script, shown = ["set -euo pipefail"], []
    for number, block in enumerate(blocks(page)):
        if block.not_run:
            continue
        if block.info == "sh":
            script.append(block.text)
        elif block.info == "text":
            shown.append(block.text)
        else:
            assert block.file, f"{page.name}:{block.line}: no word says which file this goes into"
            script.append(f"cat > {block.file} <<'END{number}'\n{block.text}END{number}")
    for folder in SHIPPED:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    program = Path(sys.executable)
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
    )
    assert done.returncode == 0, done.stdout
    printed = " ".join(done.stdout.split())
    for line in "".join(shown).splitlines():
        pattern = re.escape(" ".join(line.split())).replace(re.escape("..."), ".*")
        assert re.search(pattern, printed), f"{line!r} is not in\n{done.stdout}"
