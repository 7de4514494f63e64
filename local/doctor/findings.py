"""What was found, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

type State = Literal["ok", "warning", "fault"]

CLOCK_SECONDS = 5.0
"""By how much clocks may differ: leases are counted with it."""
MARKS = {"ok": "ok", "warning": "!", "fault": "FAULT"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `advice` says what to do, where there is anything to do."""

    part: str
    state: State
    says: str
    advice: str = ""


def ok(part: str, says: str) -> Finding:
    return Finding(part, "ok", says)


def warning(part: str, says: str, advice: str) -> Finding:
    """It works, and somebody should know."""
    return Finding(part, "warning", says, advice)


def fault(part: str, says: str, advice: str) -> Finding:
    """It does not work, or is not safe."""
    return Finding(part, "fault", says, advice)


def latency(part: str, what: str, seconds: float, most: float, advice: str) -> Finding:
    """How long something took; longer than `most` is worth a word."""
    says = f"{what} took {seconds * 1000:.0f} ms"
    if seconds <= most:
        return ok(part, says)
    return warning(part, f"{says}; {most * 1000:.0f} ms is what one expects", advice)


def clock(part: str, whose: str, ahead: float) -> Finding:
    """`ahead`: seconds that this machine's clock is ahead of that one, as near as can be told."""
    says = f"the clock here is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} {whose}"
    if abs(ahead) < CLOCK_SECONDS:
        return ok(part, f"the clocks here and of {whose} agree")
    return fault(
        part,
        says,
        "Set this machine's clock by the network (Linux: timedatectl set-ntp true; Windows: w32tm "
        "/resync; macOS: sntp -sS time.apple.com). Where it is right, the other one is wrong: "
        "restart that app. Tokens are refused, and turns end too early, where clocks differ.",
    )


def told(findings: Iterable[Finding]) -> str:
    """The report, for a terminal."""
    lines = []
    for finding in findings:
        lines.append(f"{MARKS[finding.state]:<5}  {finding.part:<10}  {finding.says}")
        if finding.advice:
            lines.append(f"{'':<19}→ {finding.advice}")
    return "\n".join(lines)
