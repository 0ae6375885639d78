"""Tables of points in Markdown, made from the manifest.

Contract: what stands between `<!-- points:begin -->` and `<!-- points:end -->` is the table of checks and
points. A text without these markers is left alone.
"""

import re

from autograder.manifest import Course

_MARKED = re.compile(r"(<!-- points:begin -->\n).*?(<!-- points:end -->)", re.DOTALL)


def fill(text: str, course: Course) -> str:
    """Return the text with its table of points made anew."""
    table = points_table(course)
    return _MARKED.sub(lambda match: f"{match[1]}\n{table}\n\n{match[2]}", text)


def points_table(course: Course) -> str:
    """Return the table of checks and points in Markdown."""
    lines = ["| Check | What must hold | Points |", "|---|---|---:|"]
    for tier in course.tiers:
        checks = course.checks_of(tier.id)
        lines.append(f"| **{tier.title}** | **All of the following** | **{sum(c.points for c in checks)}** |")
        lines += [f"| `{check.id}` | {check.title.replace('|', '&#124;')} | {check.points} |" for check in checks]
    return "\n".join(lines)
