"""A YAML file is read without executing anything, and a wrong one is not repeated."""

import pytest

from superionic.errors import SettingsError
from superionic.yaml_file import read_yaml

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}]\n" for i in range(1, 30))
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{f'*a{i - 1}, ' * 9}]}}\n" for i in range(1, 30)
)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"password: [secret", "ParserError"),
        (b"\xff\xfe\xfd", "UnicodeDecodeError"),
        (b"!!python/object/apply:os.getcwd []", "ConstructorError"),
        (b"when: 2024-99-99", "ValueError"),
        (b"[" * 5000, "nested more than 40 levels deep"),
        (b"\n".join(b" " * i + b"a:" for i in range(100)), "nested more than 40 levels deep"),
        (b"a: &a [*a]", "a reference to what it stands in"),
        (b"a: &a {<<: [*a]}", "a reference to what it stands in"),
        (BOMB.encode(), "more than 200000 values, with its references"),
        (MERGES.encode(), "more than 200000 values, with its references"),
        (b"# " + b"x" * 9_000_000, "larger than 8 MB"),
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
    path.write_text("a: &a {b: [1, x]}\nc: {<<: *a, d: *a}\n")
    shared = {"b": [1, "x"]}
    assert read_yaml(path, "", "") == {"a": shared, "c": shared | {"d": shared}}
