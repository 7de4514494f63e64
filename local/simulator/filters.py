"""What the content filter says about prompts and answers."""

from typing import Any

Verdict = dict[str, dict[str, Any]]

_SEVERITIES = ("hate", "self_harm", "sexual", "violence")


def answer_verdict(filtered: str | None = None) -> Verdict:
    """Judge a piece of an answer; `filtered` names the category that refuses it."""
    verdict: Verdict = {
        category: {
            "filtered": category == filtered,
            "severity": "medium" if category == filtered else "safe",
        }
        for category in _SEVERITIES
    }
    if filtered is not None and filtered not in _SEVERITIES:
        verdict[filtered] = {"detected": True, "filtered": True}
    if filtered == "protected_material_code":
        verdict[filtered]["citation"] = {"URL": "https://github.com/a/b", "license": "MIT"}
    return dict(sorted(verdict.items()))


def prompt_verdict(filtered: str | None = None) -> Verdict:
    """Judge a prompt, where attacks on the model are looked for as well."""
    verdict = answer_verdict(filtered)
    verdict.setdefault("jailbreak", {"detected": False, "filtered": False})
    return dict(sorted(verdict.items()))
