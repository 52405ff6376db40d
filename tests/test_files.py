"""Files that are there as a whole or not at all."""

import errno
import os
import stat

import pytest

from superionic.errors import UnwritableFileError
from superionic.files import made_private, whole_file, write_whole


def test_a_file_is_replaced_at_the_end_and_others_may_read_it(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("old")
    mask = os.umask(0o022)
    try:
        with whole_file(path) as fresh:
            assert (fresh.parent, fresh.suffix) == (tmp_path, ".csv")
            fresh.write_text("new")
            assert path.read_text() == "old"
    finally:
        os.umask(mask)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["rows.csv"]


def test_two_writers_have_files_of_their_own(tmp_path):
    with whole_file(tmp_path / "a.npz") as one, whole_file(tmp_path / "a.npz") as other:
        assert one != other
        one.write_bytes(b"1")
        other.write_bytes(b"2")
    assert (tmp_path / "a.npz").read_bytes() == b"1"  # who ends last
    assert os.listdir(tmp_path) == ["a.npz"]


@pytest.mark.parametrize("what", ["disk", "code"])
def test_what_fails_leaves_the_file_as_it_was(what, tmp_path, monkeypatch):
    path = tmp_path / "state"
    write_whole(path, b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if what == "disk":
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(UnwritableFileError, match="No space left") as caught:
            write_whole(path, "new")
        assert str(path) in caught.value.message
    else:
        with pytest.raises(ZeroDivisionError), whole_file(path) as fresh:
            fresh.write_text(f"half {1 / 0}")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["state"]


def test_names_may_be_as_long_as_they_can_be(tmp_path):
    path = tmp_path / f"{'n' * 251}.csv"
    write_whole(path, "rows")
    assert path.read_text() == "rows"


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UnwritableFileError, match="No such file or directory"):
        write_whole(tmp_path / "nowhere" / "file", "text")


def test_all_folders_that_are_made_are_private(tmp_path):
    made = made_private(tmp_path / "a" / "b")
    assert [stat.S_IMODE(one.stat().st_mode) for one in (made, made.parent)] == [0o700, 0o700]
