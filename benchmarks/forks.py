"""Work in forks of a process that has imported what takes long to import."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn


def end_with(work: Callable[[], None]) -> NoReturn:
    """In a fork: do something and end with its exit code, whatever it raises.

    Nothing that the process it came from would still do is done here.
    """
    code = 1
    try:
        work()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
