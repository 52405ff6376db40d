"""A YAML file is read without executing anything, and a wrong one is not repeated."""

import pytest

from superionic.errors import SettingsError
from superionic.yaml_file import read_yaml


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"password: [secret", "ParserError"),
        (b"\xff\xfe\xfd", "UnicodeDecodeError"),
        (b"!!python/object/apply:os.getcwd []", "ConstructorError"),
        (None, "FileNotFoundError"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, content, kind):
    path = tmp_path / "file.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"^It cannot be read .{kind}.") as error:
        read_yaml(path, "It cannot be read", "Write one.")
    assert error.value.hint == "Write one."
    assert error.value.__cause__ is None
    assert "secret" not in str(error.value)


def test_what_a_file_holds_is_returned(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("a: [1, x]\n")
    assert read_yaml(path, "", "") == {"a": [1, "x"]}
