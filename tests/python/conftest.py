"""Fixtures that more than one file uses."""

import shutil

import pytest

from fs_format import Identity


@pytest.fixture
def wal_dir(tmp_path):
    """A WAL directory, removed after the test together with its active directory."""
    directory = tmp_path / "wal"
    yield directory
    identity = directory / "wal_identity"
    if identity.exists():
        active_path = Identity.decode(identity.read_bytes()).active_path
        shutil.rmtree(active_path, ignore_errors=True)
