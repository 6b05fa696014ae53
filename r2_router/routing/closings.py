"""Thanks and good-byes: messages that end a subject and ask for nothing."""

import re

# One of these must be there ...
_THANKS = """
thanks thank thx thankyou cheers ty bye goodbye danke dankeschön tschüss merci gracias adiós grazie ciao obrigado
obrigada bedankt dank tack takk tak kiitos dzięki dziękuję спасибо благодарю дякую teşekkürler teşekkür شكرا شكراً
धन्यवाद 谢谢 谢谢你 谢谢您 謝謝 多谢 感谢 再见 ありがとう ありがとうございます
ありがとうございました 감사합니다 고마워 고마워요
"""
# ... and what else there is says no more than this. "Yes", "go on" and their like are missing: they ask for work.
_BESIDE = """
you so very much many a lot again ok okay great perfect good nice cool awesome wonderful excellent super lovely that
this it is was s works worked perfectly fine all for now no oh ah wow and have day night vielen schön sehr das ist war
passt alles gut prima klasse dir ihnen euch beaucoup bien parfait c est tout à vous muchas mucho muy perfecto bueno
genial es todo mille molto perfetto tante muito perfeito je wel heel erg u большое вам тебе все отлично 太好了 非常 好的
很好 bardzo ederim çok جزيلا
"""
_FOR_HELP = re.compile(
    r"\b(?:for (?:all )?(?:your|the) (?:help|time|work)|für (?:deine|ihre|eure|die) hilfe|pour (?:ton|votre) aide"
    r"|por (?:tu|su|la) ayuda)\b"
)
_WORD = re.compile(r"[^\W\d_]+")
_MOST_CHARACTERS = 80

_thanking = frozenset(_THANKS.split())
_known = _thanking.union(_BESIDE.split())


def is_closing(text: str) -> bool:
    """Whether `text` thanks or takes leave, and says nothing else."""
    if len(text) > _MOST_CHARACTERS or any(sign in text for sign in "?？0123456789"):
        return False
    words = _WORD.findall(_FOR_HELP.sub(" ", text.casefold()))
    return not _thanking.isdisjoint(words) and _known.issuperset(words)
