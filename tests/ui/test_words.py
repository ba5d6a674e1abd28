import pytest

from ui.words import plain


@pytest.mark.parametrize(
    "text", ["[log in](https://evil)", "![x](https://evil/a.png)", "$x$ and $y$", ":material/home: :red[x]", "**b** `c` <b>", "# title"]
)
def test_nothing_of_a_visitors_text_is_read_as_markdown(text):
    shown = plain(text)
    for sign in "[](){}$*`<>#:":
        assert shown.count(sign) == shown.count("\\" + sign)
    assert shown.replace("\\", "") == text


def test_lines_are_joined():
    assert plain("a\n\n- b") == "a - b"
