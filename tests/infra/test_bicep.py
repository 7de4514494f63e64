"""The reader, and the checker of names, on small examples: also that they find what is wrong."""

from pathlib import Path

import pytest

from tests.infra.bicep import Bicep, Call, Choice, Expression, Loop, NotBicep
from tests.infra.references import problems

EXAMPLE = """\
// An example.
targetScope = 'resourceGroup'

@description('What it is called.')
@allowed([
  'one'
  'two'
])
param name string
param size int = 3
param more object = {}

var tags = union(more, {
  // a comment is no property
  'azd-env-name': name
})

// For the account
// to be read.
resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = if (size > 2) {
  name: name
}

resource rows 'Vendor.Things/rows@2024-01-01' = [for row in ['a', 'b']: {
  parent: account
  name: '${name}-${row}'
  properties: {
    deep: true
    nothing: null
    count: -1
    kind: size == 3 ? 'three' : 'other'
    settings: [for item in items(tags): {
      name: item.key
    }]
    upper: map(['x'], x => trim(x))
  }
}]

output id string = account.id
"""

TARGET = """\
// A target.
param name string
param count int = 1
resource thing 'Vendor.Things/things@2024-01-01' = {
  name: name
  properties: {
    count: count
  }
}
output id string = thing.id
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "target.bicep").write_text(TARGET, encoding="utf-8")
    return tmp_path


def found(folder: Path, text: str) -> list[str]:
    return problems(Bicep.parse(text, folder / "main.bicep"))


def test_it_reads_parameters_with_their_decorators():
    bicep = Bicep.parse(EXAMPLE)
    name, size = bicep.parameters["name"], bicep.parameters["size"]
    assert (name.type, name.required, name.decorators["allowed"]) == (
        "string",
        True,
        (["one", "two"],),
    )
    assert name.decorators["description"] == ("What it is called.",)
    assert (size.type, size.required, size.default) == ("int", False, 3)
    assert bicep.scope == "resourceGroup"
    assert bicep.first_line == "// An example."


def test_it_reads_resources():
    bicep = Bicep.parse(EXAMPLE)
    account, rows = bicep.resources["account"], bicep.resources["rows"]
    assert (account.type, account.api_version) == (
        "Microsoft.Storage/storageAccounts",
        "2023-05-01",
    )
    assert (account.existing, account.condition, account.loop) == (True, "size > 2", None)
    assert account.comment == "For the account to be read."
    assert (rows.existing, rows.condition, rows.loop) == (False, None, "['a', 'b']")
    assert rows.comment == ""
    assert rows.properties["name"] == Expression("'${name}-${row}'")
    assert rows.properties["properties"] == {
        "deep": True,
        "nothing": None,
        "count": -1,
        "kind": Choice("size == 3", "three", "other"),
        "settings": Loop("items(tags)", {"name": Expression("item.key")}),
        "upper": Call("map", (["x"], Expression("x => trim(x)")), "map(['x'], x => trim(x))"),
    }


def test_it_reads_variables_and_outputs():
    bicep = Bicep.parse(EXAMPLE)
    tags = bicep.variables["tags"].value
    assert isinstance(tags, Call)
    assert tags.arguments == (Expression("more"), {"azd-env-name": Expression("name")})
    assert (bicep.outputs["id"].type, bicep.outputs["id"].value) == ("string", "account.id")


def test_a_text_is_no_expression():
    bicep = Bicep.parse("var a = 'plain'\nvar b = 'with ${a}'\nvar c = b\n")
    kinds = [type(bicep.variables[name].value) for name in "abc"]
    assert kinds == [str, Expression, Expression]


def test_a_comment_further_up_is_not_the_resources():
    text = "// For all.\n\nresource a 'A/b@2024-01-01' = {\n  name: 'a'\n}\n"
    assert Bicep.parse(text).resources["a"].comment == ""


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("param a string =\n", "example.bicep:1"),
        ("var a = 1\nresource b 'A/b@2024-01-01' = {\n  name: 'a'\n", "example.bicep:"),
        ("var a = { b: [1, 2 }\n", "example.bicep:1"),
        ("var a = 'open\n", "example.bicep:1"),
    ],
)
def test_what_cannot_be_parsed_is_refused(text: str, where: str):
    with pytest.raises(NotBicep, match=where):
        Bicep.parse(text)


def test_names_that_are_right_are_no_problem(folder: Path):
    assert found(folder, EXAMPLE) == []
    text = """
    param name string
    module target 'target.bicep' = {
      name: 'target'
      params: {
        name: name
      }
    }
    output id string = target!.outputs.id
    """
    assert found(folder, text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("output a string = b\n", "line 1: b is not declared"),
        ("output a string = '${b}'\n", "line 1: b is not declared"),
        ("output a string = b.properties.c\n", "line 1: b is not declared"),
        ("output a array = [for x in b: x]\n", "line 1: b is not declared"),
        ("output a array = [for x in ['1']: y]\n", "line 1: y is not declared"),
        ("output a array = map(['1'], x => y)\n", "line 1: y is not declared"),
        ("var a = x\noutput b array = map(['1'], x => x)\n", "line 1: x is not declared"),
        ("output a object = {\n  '${b}': {}\n}\n", "line 2: b is not declared"),
        (
            "resource a 'A/b@2024-01-01' = if (b) {\n  name: 'a'\n}\n",
            "line 1: b is not declared",
        ),
        (
            "resource a 'A/b@2024-01-01' = {\n  name: 'a'\n  dependsOn: [\n    b\n  ]\n}\n",
            "line 4: b is not declared",
        ),
        ("param a string\nvar a = 'x'\noutput b string = a\n", "a is declared 2 times"),
        ("param a string\n", "a is never used"),
        ("var a = 'x'\n", "a is never used"),
        ("output a string = lower('x')\n", "line 1: lower() is not known here"),
        ("@secure()\nparam a string\noutput b string = a\n", "line 1: secure() is not known here"),
        (
            "targetScope = 'subscription'\noutput a string = resourceGroup().id\n",
            "line 2: resourceGroup() does not exist at the subscription",
        ),
    ],
)
def test_it_finds_a_wrong_name(folder: Path, text: str, problem: str):
    assert f"main.bicep: {problem}" in found(folder, text)


@pytest.mark.parametrize(
    ("path", "params", "problem"),
    [
        ("target.bicep", "", "target: the parameter name of target.bicep is missing"),
        ("target.bicep", "name: 'a'\nsize: 1", "target: target.bicep has no parameter size"),
        ("target.bicep", "name: 1", "target: name is int, and target.bicep wants string"),
        ("target.bicep", "name: flag", "target: name is bool, and target.bicep wants string"),
        (
            "target.bicep",
            "name: flag ? 1 : 2",
            "target: name is int, and target.bicep wants string",
        ),
        (
            "target.bicep",
            "name: split('a', ',')",
            "target: name is array, and target.bicep wants string",
        ),
        ("absent.bicep", "name: 'a'", "target: there is no absent.bicep"),
    ],
)
def test_it_finds_what_a_module_is_passed_wrongly(
    folder: Path, path: str, params: str, problem: str
):
    text = f"""
    param flag bool = false
    module target '{path}' = if (flag) {{
      name: 'target'
      params: {{
        {params}
      }}
    }}
    """
    assert found(folder, text) == [f"main.bicep: {problem}"]


def test_it_finds_an_output_that_is_not_there(folder: Path):
    text = """
    module target 'target.bicep' = {
      name: 'target'
      params: {
        name: 'a'
      }
    }
    output id string = target.outputs.ids
    """
    assert found(folder, text) == ["main.bicep: line 8: target.bicep has no output ids"]


def test_it_finds_a_type_that_an_output_does_not_have(folder: Path):
    text = """
    module one 'target.bicep' = {
      name: 'one'
      params: {
        name: 'a'
      }
    }
    module two 'target.bicep' = {
      name: 'two'
      params: {
        name: 'b'
        count: one.outputs.id
      }
    }
    """
    assert found(folder, text) == ["main.bicep: two: count is string, and target.bicep wants int"]


def test_a_module_that_cannot_be_parsed_is_a_problem(folder: Path):
    (folder / "broken.bicep").write_text("param a string =\n", encoding="utf-8")
    text = "module a 'broken.bicep' = {\n  name: 'a'\n}\n"
    assert found(folder, text) == ["main.bicep: a: broken.bicep:1: param a string ="]
