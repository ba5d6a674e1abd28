import numpy as np
import pandas as pd
import pytest

from ui.explain import safe_csv


@pytest.mark.parametrize("cell", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_or_header_of_an_export_is_a_formula(cell):
    out = safe_csv(pd.DataFrame({cell: [cell, "plain"], "n": [-1.5, 2.0]})).decode("utf-8-sig")
    header, row = pd.read_csv(__import__("io").StringIO(out), header=None, dtype=str).iloc[:2].to_numpy()
    assert header[0].startswith("'") and row[0].startswith("'")
    assert row[1] == "-1.5"  # numbers stay numbers


def test_an_export_opens_in_a_spreadsheet_with_its_letters():
    out = safe_csv(pd.DataFrame({"売上": np.arange(2.0)}))
    assert out.startswith(b"\xef\xbb\xbf") and "売上" in out.decode("utf-8-sig")
