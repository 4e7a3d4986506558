"""The strict TOML reader, as settings files use it: a mistake is named with its file and line."""

import pytest

from volition.consent.terms.toml_file import Section, name_lines, read_toml
from volition.errors import InvalidInputError


def read(path, text):
    path.write_text(text)
    document = read_toml(path)
    with name_lines(document):
        top = Section(document.value, (), {"id"}, {"site"})
        site = top.section("site", set(), {"name", "patience"}) if "site" in top.value else None
        return top.text("id"), site and (site.optional_text("name"), site.number("patience", 2.5))


def test_what_is_there_is_read_and_what_is_not_has_its_default(tmp_path):
    path = tmp_path / "s.toml"
    assert read(path, 'id = "a"') == ("a", None)
    assert read(path, 'id = "a"\n[site]\n') == ("a", (None, 2.5))
    assert read(path, 'id = "a"\n[site]\nname = "b"\npatience = 3\n') == ("a", ("b", 3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('id = "a"\n[sight]\n', '{path}:2: unknown key "sight". Did you mean "site"?'),
        ('id = "a"\n\n[site]\nnam = "b"\n', '{path}:4: unknown key "nam". Did you mean "name"?'),
        ('id = "a"\n[site]\nname = 3\n', '{path}:3: "name" must be a text in quotes.'),
        ('id = "a"\n[site]\npatience = true\n', '{path}:3: "patience" must be a number, like 2.5.'),
        ('id = "a"\n[site]\npatience = inf\n', '{path}:3: "patience" must be a number, like 2.5.'),
        ("# nothing\n", '{path}:1: the key "id" is missing. Add it.'),
    ],
)
def test_a_fault_starts_with_file_and_line(tmp_path, text, message):
    path = tmp_path / "s.toml"
    with pytest.raises(InvalidInputError) as caught:
        read(path, text)
    assert str(caught.value) == message.format(path=path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match=r"none\.toml: This file cannot be read: No such file"):
        read_toml(tmp_path / "none.toml")
