"""An answer that follows instructions and says nothing, or None: shows that a query's instructions agree with each
other, and that one answer can follow them all."""

import asyncio
import json
from typing import Any

from r2_router.lab.data.questions import Question
from r2_router.lab.grading.instructions import Instructions

FILLERS = ("la", "me", "so", "hi", "xu")  # the first that no instruction forbids


def followed_by(question: Question) -> str | None:
    """The answer, if one was found."""
    asked = dict(json.loads(question.extra["constraints"]))
    for filler in FILLERS:
        for sentence in (filler, f"{filler}."):
            text = _made(asked, sentence)
            if asyncio.run(Instructions().grade(question, text)).quality == 1:
                return text
    return None


def _made(asked: dict[str, dict[str, Any]], filler: str) -> str:
    def of(name: str, argument: str, default: Any = 0) -> Any:
        given = next((given for full, given in asked.items() if full.endswith(f":{name}")), {})
        relation = next((value for key, value in given.items() if key.endswith("relation")), "at least")
        return default if relation == "less than" else given.get(argument, default)

    def has(name: str) -> bool:
        return any(full.endswith(f":{name}") for full in asked)

    lines = ["<<x>>"] if has("title") else []
    section = of("multiple_sections", "section_spliter")
    lines += [f"{section} {i + 1}" for i in range(of("multiple_sections", "num_sections"))]
    lines += ["* " + filler] * of("number_bullet_lists", "num_bullets")
    words = of("existence", "keywords", []) + [of("frequency", "keyword", "")] * of("frequency", "frequency")
    words += ["[x]"] * of("number_placeholders", "num_placeholders")
    words += ["*x*"] * of("number_highlighted_sections", "num_highlights")
    words += [of("letter_frequency", "letter", "")] * of("letter_frequency", "let_frequency")
    words += ["GO"] * of("capital_word_frequency", "capital_frequency")
    words += ["My answer is yes."] if has("constrained_response") else []
    words += ["ho."] * of("number_sentences", "num_sentences") + ["ho"] * of("number_words", "num_words")
    lines.append(" ".join([*words, filler]))
    parts = ["\n".join(lines)]
    parts += [filler] * (of("number_paragraphs", "num_paragraphs", 1) - 1)
    text = "\n***\n".join(parts)
    if has("nth_paragraph_first_word"):
        many, nth = (of("nth_paragraph_first_word", name) for name in ("num_paragraphs", "nth_paragraph"))
        blocks = [text, *[filler] * (many - 1)]
        blocks[nth - 1] = f"{of('nth_paragraph_first_word', 'first_word')} {blocks[nth - 1]}"
        text = "\n\n".join(blocks)
    text += f"\n******\n{filler} {filler}" if has("two_responses") else ""
    if marker := of("postscript", "postscript_marker", ""):
        text += f"\n{marker} {filler}"
    if phrase := of("end_checker", "end_phrase", ""):
        text += f" {phrase}"
    if request := of("repeat_prompt", "prompt_to_repeat", ""):
        text = f"{request}\n{text}"
    if has("json_format"):
        text = json.dumps({"x": text})
    text = text.upper() if has("english_capital") else text.lower() if has("english_lowercase") else text
    return f'"{text}"' if has("quotation") else text
