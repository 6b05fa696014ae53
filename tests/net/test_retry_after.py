"""What servers say in Retry-After."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from r2_router.net.retry_after import retry_after


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("0", 0), ("1.5", 1.5), ("-3", None), ("soon", None), ("", None), (None, None), ("9" * 50, None), ("nan", None)],
)
def test_retry_after_in_seconds(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


def test_retry_after_as_a_date() -> None:
    now = datetime.now(UTC)
    assert retry_after(format_datetime(now + timedelta(seconds=60), usegmt=True)) == pytest.approx(60, abs=2)
    assert retry_after(format_datetime(now - timedelta(days=1), usegmt=True)) == 0
    assert retry_after("Wed, 99 Foo 2026 10:00:00 GMT") is None
