"""The YAML of a study file, read within bounds: a mapping, or an error in one line.

The file may be somebody else's: neither a device or a pipe in its place nor a few lines that stand for millions may
keep the command busy or fill the memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from solvation.errors import StudyError, in_short

#: A thousand clusters written one by one take a tenth of it; a larger file takes longer to read than to refuse.
_MOST_MB = 5.0
#: Values that the file stands for once its anchors are written out; those thousand clusters are 30,000.
_MOST_VALUES = 1_000_000
#: Digits of a number; Python takes minutes for some of a million.
_LONGEST_NUMBER = 100
#: What PyYAML's own constructors raise on '2001-13-01', '!!int abc', '!!bool foo' or '!!set [a]'.
_NO_VALUE = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError)


def read_mapping(path: Path) -> dict[Any, Any]:
    """Read the mapping that a study file holds, as it was written.

    Raises
    ------
    StudyError
        One line with the file, the place in it and the mend.
    """
    if path.is_dir():
        raise StudyError(f"{path}: is a folder; give the study file")
    if path.exists() and not path.is_file():
        raise StudyError(f"{path}: is a device or a pipe; give the study file")
    try:
        if (size_MB := path.stat().st_size / 1e6) > _MOST_MB:
            raise StudyError(f"{path}: {size_MB:.0f} MB are no study; give a file of YAML below {_MOST_MB:g} MB")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is not a text file"
        raise StudyError(
            f"{path}: cannot be read ({reason}); 'solvation init {path.name}' writes a study to start from"
        ) from problem
    try:
        data = yaml.load(text, Loader=_Bounded)
    except yaml.YAMLError as problem:
        raise StudyError(f"{path}: {_yaml_reason(problem)}") from problem
    except RecursionError as problem:
        raise StudyError(f"{path}: not valid YAML (nested too deeply); mend its brackets") from problem
    except _NO_VALUE as problem:
        raise StudyError(f"{path}: not valid YAML ({in_short(problem)}); write values without tags (!!)") from problem
    if not isinstance(data, dict):
        raise StudyError(f"{path}: a study is a mapping with species and clusters; see 'solvation init'")
    return data


class _Bounded(yaml.SafeLoader):
    """Safe loading that refuses a key given twice, a value that is not what its tag says, and too many values."""

    def construct_document(self, node: yaml.Node) -> Any:
        if _count(node, {}) > _MOST_VALUES:
            raise yaml.MarkedYAMLError(
                problem=f"its anchors stand for more than {_MOST_VALUES} values", problem_mark=node.start_mark
            )
        return super().construct_document(node)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if _is_number(node) and len(node.value) > _LONGEST_NUMBER:
            raise yaml.MarkedYAMLError(
                problem=f"a number of {len(node.value)} characters", problem_mark=node.start_mark
            )
        try:
            return super().construct_object(node, deep)
        except _NO_VALUE as problem:
            told = node.value[:40] if isinstance(node, yaml.ScalarNode) else "this"
            kind = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(
                problem=f"'{told}' is no {kind} (quotes make it text)", problem_mark=node.start_mark
            ) from problem

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key '{key_node.value}' stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def _is_number(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag.rpartition(":")[2] in {"int", "float"}


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Values below a node, with all that aliases repeat; merge keys (`<<`) copy no more than that."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = 1  # a node that holds itself is counted once
    children = node.value if isinstance(node, yaml.SequenceNode) else []
    if isinstance(node, yaml.MappingNode):
        children = [one for pair in node.value for one in pair]
    known[id(node)] = 1 + sum(_count(child, known) for child in children)
    return known[id(node)]


def _yaml_reason(problem: yaml.YAMLError) -> str:
    if isinstance(problem, yaml.MarkedYAMLError) and problem.problem_mark is not None:
        mark = problem.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem.problem}; mend the YAML there"
    return f"not valid YAML ({str(problem).splitlines()[0]})"
