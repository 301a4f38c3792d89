"""The next release that `make upgrade` rolls to can be made of the code as it is now."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from tests.integration.hub_under_test import REPOSITORY
from tests.upgrade.next_release import CHANGES, FIELDS, NEXT_RELEASE, NotMadeError, make_next_release

VERSION = "clearinghub/__init__.py"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for path in {VERSION, *(change.path for change in CHANGES), *(path for path, _name, _field in FIELDS)}:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / path, tmp_path / path)
    return tmp_path


def test_each_class_has_one_field_more_at_its_end(copy: Path) -> None:
    make_next_release(copy)

    assert f'__version__ = "{NEXT_RELEASE}"' in (copy / VERSION).read_text()
    for path, name, field in FIELDS:
        tree = ast.parse((copy / path).read_text())
        (found,) = (one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == name)
        fields = [ast.unparse(one) for one in found.body if isinstance(one, ast.AnnAssign)]
        assert field.replace('"', "'") == fields[-1]


def test_code_that_has_changed_is_refused(copy: Path) -> None:
    path = copy / CHANGES[1].path
    path.write_text(path.read_text().replace(CHANGES[1].old, ""))

    with pytest.raises(NotMadeError, match="is outdated"):
        make_next_release(copy)
