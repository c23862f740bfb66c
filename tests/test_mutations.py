"""The safeguards that `tests.mutations` removes are where it looks for them."""

import ast

import pytest

from tests.mutations import MUTATIONS, ROOT, Mutation, main


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_removal_changes_code_that_still_parses(mutation: Mutation) -> None:
    for file, mutated in mutation.applied().items():
        assert ast.dump(ast.parse(mutated)) != ast.dump(ast.parse((ROOT / file).read_text()))
    assert all((ROOT / test.partition("::")[0]).is_file() for test in mutation.tests)


def test_names_are_unique() -> None:
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)


def test_a_name_that_no_safeguard_has_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "no such name"])
    assert "no safeguard has 'no such name' in its name" in capsys.readouterr().err


def test_a_text_that_is_not_there_is_said() -> None:
    lost = MUTATIONS[0]._replace(old="there is no such text")
    with pytest.raises(ValueError, match="has 0 times"):
        lost.applied()
