"""Lengths in Chinese, Japanese, Korean and Arabic text, where a number and its unit are not set apart.

As in length_phrases.py: the number must be marked as the answer's by what stands right before it (用三句话,
不超过100字) or right behind it (200字以内, 3行で), and not as that of a thing that is there (这篇1500字的文章).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from r2_router.routing.length_phrases import Asked

_NUMBER = r"\d{1,3}(?:,\d{3})+|\d{1,6}|[一二两兩三四五六七八九十百千万]{1,6}|几|幾|数|한|두|세|네|다섯"
_UNITS = {
    "字": "character",
    "字符": "character",
    "文字": "character",
    "글자": "character",
    "자": "character",
    "词": "word",
    "詞": "word",
    "单词": "word",
    "單詞": "word",
    "単語": "word",
    "단어": "word",
    "言": "word",
    "句": "sentence",
    "句话": "sentence",
    "句話": "sentence",
    "文": "sentence",
    "문장": "sentence",
    "段": "paragraph",
    "段话": "paragraph",
    "段落": "paragraph",
    "단락": "paragraph",
    "页": "page",
    "頁": "page",
    "ページ": "page",
    "페이지": "page",
    "行": "line",
    "줄": "line",
    "要点": "bullet",
    "要點": "bullet",
    "点": "bullet",
    "點": "bullet",
    "ポイント": "bullet",
    "項目": "bullet",
}
_LEAST = r"不少于|不少於|至少|超过|超過|大于|不低于|最少|최소|적어도"
_MOST = (
    r"不超过|不超過|不多于|不多於|少于|少於|小于|低于|最多|至多|不大于|"
    r"不要超过|不能超过|别超过|最大|최대|控制在|限制在|限"
)
_ABOUT = r"大约|大約|约|約|大概|左右"
_WRITE = (
    r"用|以|在|写|寫|写成|写出|作|生成|给我|給我|缩短到|缩短至|缩短为|缩成|"
    r"压缩到|压缩至|压缩成|扩写到|扩写成|总结成|总结为|概括成|概括为|归纳为|"
    r"回答|一篇|一份|一封|一首|一段|写个|写一个|来个|字数|字数为|要求|长度|长度为|请用|，|,|、|。|^|（|\("
)
_IN_ALL = re.compile(
    rf"(?:(?P<least>{_LEAST})|(?P<most>{_MOST})|(?P<write>{_WRITE}))?\s?(?:(?P<about>{_ABOUT})\s?)?"
    rf"(?P<low>{_NUMBER})\s?(?:(?:-|–|~|～|到|至|、|から)\s?(?P<high>{_NUMBER})\s?)?(?:多|来|余)?(?:个|個|条|條|つの)?"
    rf"(?P<unit>{'|'.join(sorted(_UNITS, key=len, reverse=True))})(?:英文)?(?:的)?(?:篇幅|长度)?\s?"
    r"(?P<behind>以内|之内|以下|以上|以內|之內|左右|上下|程度|内で|で|にまとめ|으로|로|이내|이하|이상|정도|내외)?(?=(?P<after>.?.?.?))"
)
_GIVEN = re.compile(
    r"(?:这|這|该|那|此|每|哪|第|下面|上面|以下|上述|下列|原文|共|有|前|后|最后|この|その|各|이|그|각|매|다음)[^，。,.\s]{0,3}$"
)
_VALUE = {
    **{sign: value for value, sign in enumerate("一二三四五六七八九十", 1)},
    **{"两": 2, "兩": 2, "几": 3, "幾": 3, "数": 3, "百": 100, "千": 1000, "万": 10_000},
    **{"한": 1, "두": 2, "세": 3, "네": 4, "다섯": 5},
}
_MORE_BEHIND, _LESS_BEHIND = ("以上", "이상"), ("以内", "之内", "以下", "以內", "之內", "内で", "이내", "이하")
_TOKENS_PER_WORD = (0.8, 2.5)
_MOST_OF = {"character": 20_000, "word": 10_000}
_LEAST_CHARACTERS = 20
_LOOK_BACK = 10
_A_FEW = ("几", "幾", "数")
_STOPS = ("，", ",", "、", "。", "", "（", "(")
_BOUNDED_ONLY = ("文", "点", "點", "言", "자")  # units that are words of their own too

_ARABIC_NUMBER = {"واحدة": 1, "واحد": 1, "ثلاث": 3, "ثلاثة": 3, "أربع": 4, "خمس": 5, "خمسة": 5, "ست": 6, "عشر": 10}
_ARABIC_UNITS = {
    "كلمة": "word",
    "كلمات": "word",
    "جملة": "sentence",
    "جمل": "sentence",
    "فقرة": "paragraph",
    "فقرات": "paragraph",
    "صفحة": "page",
    "صفحات": "page",
    "نقطة": "bullet",
    "نقاط": "bullet",
    "أسطر": "line",
}
_ARABIC = re.compile(
    rf"(?P<lead>في|من|اكتب|بـ?|حوالي|(?P<most>(?:لا )?(?:ت|ي)زيد عن|أقل من|بحد أقصى)|(?P<least>على الأقل|"
    r"لا (?:ت|ي)قل عن))\s?"
    rf"(?:(?P<low>\d{{1,5}}|{'|'.join(_ARABIC_NUMBER)}) )?"
    rf"(?P<unit>{'|'.join(sorted(_ARABIC_UNITS, key=len, reverse=True))})"
    r"(?:\b|$)(?: (?P<one>واحدة|واحد))?"
)
_ARABIC_PAIR = re.compile(r"في (?P<unit>جملتين|فقرتين|كلمتين|نقطتين|سطرين)")
_PAIRS = {"جملتين": "sentence", "فقرتين": "paragraph", "كلمتين": "word", "نقطتين": "bullet", "سطرين": "line"}


def asked_unspaced(text: str) -> Iterator[Asked]:
    """What a text says of the answer's length in these scripts, in the order in which it stands there."""
    for match in _IN_ALL.finditer(text):
        asked = _read(text, match)
        if asked is not None:
            yield asked
    yield from _arabic(text)


def _read(text: str, m: re.Match[str]) -> Asked | None:
    low = _value(m["low"])
    high = low if m["high"] is None else _value(m["high"])
    unit, behind = _UNITS[m["unit"]], m["behind"] or ""
    if low is None or high is None or not 0 < low <= high <= _MOST_OF.get(unit, 100):
        return None
    if not _of_the_answer(text, m, few=unit == "character" and high < _LEAST_CHARACTERS):
        return None
    if m["most"] or behind in _LESS_BEHIND:
        low = 0.0 if m["high"] is None else low
    elif m["least"] or behind in _MORE_BEHIND:
        high = math.inf
    elif m["low"] in _A_FEW:
        low, high = 2.0, 5.0
    return Asked("ideogram" if unit == "character" else unit, low, high, _TOKENS_PER_WORD)


def _of_the_answer(text: str, m: re.Match[str], *, few: bool) -> bool:
    """Whether the number is marked as the answer's; `few` characters only are where it is said to write with them."""
    lead, behind, bounded = m["write"], m["behind"], m["least"] or m["most"]
    before = text[max(0, m.start() - _LOOK_BACK) : m.start()] + (lead or "")
    if _GIVEN.search(before) or (few and lead not in ("用", "以")):
        return False
    if behind or bounded:
        return True
    if lead is None or lead == "在" or m["unit"] in _BOUNDED_ONLY:
        return False
    return lead not in _STOPS or _ends(m["after"]) or m["after"].startswith("的")


def _ends(after: str) -> bool:
    return not after or after[0] in "，。,.)）！!、\n "


def _value(text: str) -> float | None:
    """The number that digits or Chinese numerals say."""
    if text[0].isdigit():
        return float(text.replace(",", ""))
    if text in _VALUE:
        return float(_VALUE[text])
    total = current = 0
    for sign in text:
        value = _VALUE.get(sign, 0)
        if value >= 10:
            total, current = total + max(current, 1) * value, 0
        else:
            current = value
    return float(total + current) or None


def _arabic(text: str) -> Iterator[Asked]:
    for m in _ARABIC.finditer(text):
        given = re.search(r"(?:هذه|هذا|كم|كل) (?:\S+ )?$", text[max(0, m.start() - 20) : m.start()])
        stated = m["low"] or m["one"]
        if stated is None or given or (m["lead"] == "من" and not _written(text[: m.start()])):
            continue
        low = float(m["low"]) if m["low"] and m["low"].isdigit() else float(_ARABIC_NUMBER[stated])
        low, high = (0.0, low) if m["most"] else (low, math.inf if m["least"] else low)
        yield Asked(_ARABIC_UNITS[m["unit"]], low, high, (1.4, 3.8))
    for m in _ARABIC_PAIR.finditer(text):
        yield Asked(_PAIRS[m["unit"]], 2.0, 2.0, (1.4, 3.8))


def _written(before: str) -> bool:
    return re.search(r"(?:اكتب|أكتب|مقالا?|نص|قصة|ملخصا?)", before[-60:]) is not None
