"""A quiz as HTML: a fragment for each question, and a page of all.

Contract: the HTML has no script and loads nothing, so the same fragment works in a notebook's output, on a page that
is opened from disk, and in any theme. An option is opened to see whether it is right and why: words say it, not
colour alone.
"""

import html
import re

from autograder.quiz import Question, Quiz

RIGHT, WRONG = "✓ Right.", "✗ Not this one."

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
section {{ border-top: 1px solid; margin-top: 2rem; }}
summary {{ cursor: pointer; padding: 0.3rem 0; }}
details > p, details > ol {{ margin: 0.2rem 0 0.8rem 1.2rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>Choose an answer by opening it. Answer open questions aloud or on paper before you open the model answer.</p>
{questions}
</body>
</html>
"""


def html_page(quiz: Quiz) -> str:
    """Return a quiz as a page that needs nothing else."""
    questions = "\n".join(
        f"<section>\n<h2>Question {number}: {_inline(question.topic)}</h2>\n{html_question(question)}\n</section>"
        for number, question in enumerate(quiz.questions, 1)
    )
    return _PAGE.format(title=_inline(quiz.title), questions=questions)


def html_question(question: Question) -> str:
    """Return a question, its options to be opened one by one, or its model answer with what it must name."""
    lines = [f"<p>{_inline(question.text)}</p>"]
    for letter, option in question.lettered.items():
        outcome = RIGHT if option.correct else WRONG
        lines.append(_details(f"{letter}. {_inline(option.text)}", f"<p>{outcome} {_inline(option.explanation)}</p>"))
    if not question.options:
        facts = "".join(f"<li>{_inline(fact)}</li>" for fact in question.rubric)
        answer = f"<p>{_inline(question.answer)}</p>\n<p>A full answer says:</p>\n<ol>{facts}</ol>"
        lines.append(_details("Model answer", answer))
    return "\n".join(lines)


def _details(summary: str, inside: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n{inside}\n</details>"


def _inline(text: str) -> str:
    """Escape a text, and mark what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text.strip(), quote=False))
