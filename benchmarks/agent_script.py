"""A session of a coding agent: what a user says, and what the model that plays it answers, a step a request.

A step is a text and the calls of tools that follow it; a turn ends with a step that calls none.
"""

CACHE = '''"""A cache that forgets what was used least lately, and what is too old."""

import time
from collections import OrderedDict


class Cache:
    def __init__(self, most, ttl_s=300.0, clock=time.monotonic):
        self.most = most
        self.ttl_s = ttl_s
        self.clock = clock
        self.entries = OrderedDict()

    def get(self, key, default=None):
        if key not in self.entries:
            return default
        value, at = self.entries[key]
        if self.clock() - at > self.ttl_s:
            return default
        self.entries.move_to_end(key)
        return value

    def put(self, key, value):
        self.entries[key] = (value, self.clock())
        while len(self.entries) > self.most:
            self.entries.popitem()
'''
TESTS = """import unittest

from cache import Cache


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class CacheTest(unittest.TestCase):
    def test_the_least_lately_used_goes_first(self):
        cache = Cache(2)
        cache.put("a", 1)
        cache.put("b", 2)
        cache.get("a")
        cache.put("c", 3)
        self.assertIsNone(cache.get("b"))
        self.assertEqual(cache.get("a"), 1)

    def test_what_is_too_old_is_not_found(self):
        clock = Clock()
        cache = Cache(2, ttl_s=10, clock=clock)
        cache.put("a", 1)
        clock.now = 11
        self.assertIsNone(cache.get("a"))


if __name__ == "__main__":
    unittest.main()
"""
BYTES = """
    def test_a_limit_of_bytes_evicts(self):
        cache = Cache(100, most_bytes=10)
        cache.put("a", b"123456")
        cache.put("b", b"123456")
        self.assertIsNone(cache.get("a"))
        self.assertEqual(cache.bytes, 6)

    def test_the_work_of_a_put_does_not_grow(self):
        cache = Cache(10_000, most_bytes=10_000)
        for i in range(20_000):
            cache.put(i, b"x")
        self.assertEqual(len(cache.entries), 10_000)
"""
THREADS = """import threading
import unittest

from cache import Cache


class ThreadsTest(unittest.TestCase):
    def test_many_threads_keep_the_limits(self):
        cache = Cache(50, most_bytes=500)

        def work(start):
            for i in range(2_000):
                cache.put((start + i) % 200, b"0123456789")
                cache.get(i % 200)

        threads = [threading.Thread(target=work, args=(n * 7,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertLessEqual(len(cache.entries), 50)
        self.assertLessEqual(cache.bytes, 500)


if __name__ == "__main__":
    unittest.main()
"""
README = """# cache

A cache in memory with three limits: entries, bytes, and age.

    from cache import Cache

    cache = Cache(1000, ttl_s=60, most_bytes=1_000_000)
    cache.put("answer", b"42")
    print(cache.get("answer"))
"""
RUN = ("Bash", {"command": "python3 -m unittest -v", "description": "Run the tests"})

TURNS = (
    (
        "Write a small LRU cache in cache.py, with a time to live for its entries, and tests for it.",
        (
            ("I look at what is there first.", ("Glob", {"pattern": "**/*.py"})),
            ("The folder is empty. I begin with the cache.", ("Write", {"file_path": "cache.py", "content": CACHE})),
            ("Now the tests.", ("Write", {"file_path": "test_cache.py", "content": TESTS})),
            ("I run them.", RUN),
            ("One fails: the wrong entry goes. I look at put again.", ("Read", {"file_path": "cache.py"})),
            (
                "popitem takes the last one by default; the oldest is wanted.",
                (
                    "Edit",
                    {
                        "file_path": "cache.py",
                        "old_string": "self.entries.popitem()",
                        "new_string": "self.entries.popitem(last=False)",
                    },
                ),
            ),
            ("Again.", RUN),
            ("The cache is written and its two tests pass.",),
        ),
    ),
    (
        "Entries must also go when a limit of bytes is passed. Keep get and put in constant time, and prove it.",
        (
            ("I read both files.", ("Read", {"file_path": "cache.py"}), ("Read", {"file_path": "test_cache.py"})),
            (
                "The count of bytes is kept beside the entries, so that nothing is summed up.",
                (
                    "Edit",
                    {
                        "file_path": "cache.py",
                        "old_string": "def __init__(self, most, ttl_s=300.0, clock=time.monotonic):",
                        "new_string": "def __init__(self, most, ttl_s=300.0, clock=time.monotonic, most_bytes=None):\n"
                        "        self.most_bytes = most_bytes\n        self.bytes = 0",
                    },
                ),
            ),
            (
                "And in put.",
                (
                    "Edit",
                    {
                        "file_path": "cache.py",
                        "old_string": "        self.entries[key] = (value, self.clock())\n"
                        "        while len(self.entries) > self.most:\n"
                        "            self.entries.popitem(last=False)",
                        "new_string": "        self._drop(key)\n        self.entries[key] = (value, self.clock())\n"
                        "        self.bytes += len(value) if self.most_bytes is not None else 0\n"
                        "        while len(self.entries) > self.most or (self.most_bytes or self.bytes) < self.bytes:\n"
                        "            self._drop(next(iter(self.entries)))\n\n"
                        "    def _drop(self, key):\n        if key in self.entries:\n"
                        "            value, _ = self.entries.pop(key)\n"
                        "            self.bytes -= len(value) if self.most_bytes is not None else 0",
                    },
                ),
            ),
            (
                "Two tests for it.",
                (
                    "Edit",
                    {
                        "file_path": "test_cache.py",
                        "old_string": "\n\nif __name__ ==",
                        "new_string": f"{BYTES}\n\nif __name__ ==",
                    },
                ),
            ),
            ("I run all of them.", RUN),
            ("Bytes are limited now; each put does a fixed amount of work for every entry that it adds or drops.",),
        ),
    ),
    (
        "go on with the thread safety",
        (
            ("I read the file as it is.", ("Read", {"file_path": "cache.py"})),
            (
                "One lock around both.",
                (
                    "Edit",
                    {
                        "file_path": "cache.py",
                        "old_string": "        self.most = most\n",
                        "new_string": "        self.lock = threading.RLock()\n        self.most = most\n",
                    },
                ),
                (
                    "Edit",
                    {
                        "file_path": "cache.py",
                        "old_string": "import time\n",
                        "new_string": "import threading\nimport time\n",
                    },
                ),
            ),
            (
                "get and put take it.",
                (
                    "Edit",
                    {
                        "file_path": "cache.py",
                        "old_string": "    def get(self, key, default=None):\n",
                        "new_string": "    def get(self, key, default=None):\n        with self.lock:\n"
                        "            return self._get(key, default)\n\n    def _get(self, key, default):\n",
                    },
                ),
                (
                    "Edit",
                    {
                        "file_path": "cache.py",
                        "old_string": "    def put(self, key, value):\n",
                        "new_string": "    def put(self, key, value):\n        with self.lock:\n"
                        "            self._put(key, value)\n\n    def _put(self, key, value):\n",
                    },
                ),
            ),
            ("A test with eight threads.", ("Write", {"file_path": "test_threads.py", "content": THREADS})),
            ("All tests once more.", RUN),
            ("Both are safe to call from several threads, and a test with eight holds the limits.",),
        ),
    ),
    (
        "commit it",
        (
            ("There is no repository yet.", ("Bash", {"command": "git init -q . && git add -A && git status --short"})),
            (
                "Now the commit.",
                (
                    "Bash",
                    {
                        "command": "git -c user.name=script -c user.email=script@localhost commit -q -m "
                        "'A cache with limits of entries, bytes and age' && git log --oneline"
                    },
                ),
            ),
            ("It is committed.",),
        ),
    ),
    (
        "What is the default of the time to live?",
        (
            ("I look it up.", ("Grep", {"pattern": "ttl_s=", "output_mode": "content"})),
            ("300 seconds.",),
        ),
    ),
    (
        "Now write a README with one example, and check that the example runs as it stands there.",
        (
            ("First the text.", ("Write", {"file_path": "README.md", "content": README})),
            (
                "Now the example, cut out of it.",
                ("Bash", {"command": "sed -n 's/^    //p' README.md > example.py && python3 example.py"}),
            ),
            (
                "It runs; I say what it prints.",
                (
                    "Edit",
                    {
                        "file_path": "README.md",
                        "old_string": '    print(cache.get("answer"))',
                        "new_string": "    print(cache.get(\"answer\"))  # b'42'",
                    },
                ),
            ),
            ("Once more, and away with the copy.", ("Bash", {"command": "python3 example.py && rm example.py"})),
            ("The README has one example, and it runs.",),
        ),
    ),
    ("thanks", (("You are welcome.",),)),
)
