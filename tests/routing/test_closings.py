from __future__ import annotations

import pytest

from r2_router.routing.closings import is_closing


@pytest.mark.parametrize(
    "text",
    [
        *(
            "thanks",
            "Thank you!",
            "Thanks, that works great!",
            "ok thanks",
            "THX",
            "Thanks a lot for your help.",
            "bye",
        ),
        *(
            "bye",
            "Danke!",
            "Vielen Dank, das passt.",
            "merci beaucoup",
            "muchas gracias",
            "obrigado",
            "большое спасибо",
        ),
        *("谢谢", "谢谢你！", "ありがとうございます", "감사합니다", "teşekkürler 🙏"),
    ],
)
def test_thanks_and_good_byes_are_closings(text: str) -> None:
    assert is_closing(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "ok", "yes", "great", "👍", "go on", "commit it", "do it, thanks", "Thanks, now run the tests"),
        *("help, thanks", "thanks, but it fails", "How do I say thank you?", "thank you, 2 more", "Danke, weiter"),
        *("谢谢，继续", "thanks " * 40),
    ],
)
def test_what_asks_for_something_is_none(text: str) -> None:
    assert not is_closing(text)
