"""Keeping native libraries from talking on the terminal."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep what native code writes to standard error off the terminal; show it if the block fails.

    TensorFlow and LiteRT log notices from C++ that no Python log level holds back. Where native
    code takes the process along, Python still tells the signal and the place.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    watched = faulthandler.is_enabled()
    if not watched:
        faulthandler.enable(kept)
    with tempfile.TemporaryFile() as scratch:
        os.dup2(scratch.fileno(), 2)
        try:
            yield
        except BaseException:
            scratch.seek(0)
            os.write(kept, scratch.read())
            raise
        finally:
            if not watched:
                faulthandler.disable()
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
