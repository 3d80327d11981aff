"""Servers that others wrote, and how to install and run them on loopback.

``python -m tests.servers install`` installs them into a folder outside the tree; the fixtures of
``tests/fix_servers.py`` run them. Importing this package needs nothing but the standard library.
"""

from __future__ import annotations
