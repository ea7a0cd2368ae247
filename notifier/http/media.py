"""The media types and content codings that are read and written over HTTP."""

from __future__ import annotations

from typing import Final

JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"
MERGE_PATCH: Final = "application/merge-patch+json"

PATCH_TYPES: Final = (JSON, MERGE_PATCH)
"""The media types of a PATCH, as Accept-Patch names them."""

CODINGS: Final = ("gzip", "deflate")
"""The content codings of bodies that are read, as Accept-Encoding names them."""
