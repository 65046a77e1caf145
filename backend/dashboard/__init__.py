"""The page for the lead, at `/` of the backend: what the loop does now, what it saves, and whether quality holds."""

from __future__ import annotations

from backend.dashboard.pages import register

__all__ = ["register"]
