"""An environment for each way to run a network that is measured beside this project's own.

    python -m benchmarks.peers.environments                   # all, under artifacts/peers/venvs
    python -m benchmarks.peers.environments --only openvino

Each `requirements/NAME.txt` becomes a virtual environment NAME. One whose requirements have not
changed since is left as it is.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements"
FOLDER = Path("artifacts/peers/venvs")
INSTALLED = "installed.txt"
"""In an environment: the requirements that it was made of, once all of them are installed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    names = sorted(path.stem for path in REQUIREMENTS.glob("*.txt"))
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="default: all")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they are made")
    arguments = parser.parse_args()
    for name in arguments.only:
        print(f"{name}: {'made' if make(name, arguments.folder) else 'is there'}")


def make(name: str, folder: Path) -> bool:
    """Make an environment; whether there was anything to do.

    Raises:
        subprocess.CalledProcessError: pip failed, and has said why.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    if is_made(name, folder):
        return False
    venv.create(folder / name, clear=True, with_pip=True)
    pip = [str(python_of(name, folder)), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--requirement", str(requirements)], check=True)
    shutil.copy(requirements, folder / name / INSTALLED)
    return True


def is_made(name: str, folder: Path) -> bool:
    """Whether an environment is there with what its requirements say now."""
    installed = folder / name / INSTALLED
    required = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    return installed.is_file() and installed.read_text(encoding="utf-8") == required


def python_of(name: str, folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / name / "bin" / "python"


if __name__ == "__main__":
    main()
