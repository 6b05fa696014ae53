from __future__ import annotations

from r2_router.routing.recent import Recent, fingerprint


def test_the_one_not_asked_for_longest_is_forgotten() -> None:
    recent = Recent[int](2)
    a, b, c = (fingerprint(text) for text in (b"a", b"b", b"c"))
    recent.put(a, 1)
    recent.put(b, 2)
    assert recent.get(a) == 1
    recent.put(c, 3)
    assert (recent.get(a), recent.get(b), recent.get(c)) == (1, None, 3)
    recent.put(a, 4)
    assert recent.get(a) == 4
