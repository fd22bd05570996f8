"""Imported once, by the process that `warm` forks others from."""

from __future__ import annotations

import gc

from tests import warm

warm.import_all()
gc.freeze()
