#!/usr/bin/env python3
"""Where is somebody registered? With redis-py:  python3 read.py alice@example.com

Host and port of Redis come from REDIS_HOST and REDIS_PORT. One JSON line a contact, the best first."""
import json
import os
import sys
import time

import redis

client = redis.Redis(
    host=os.environ.get("REDIS_HOST", "127.0.0.1"),
    port=int(os.environ.get("REDIS_PORT", "6379")),
    decode_responses=True,
)
fields = client.hgetall("user:" + sys.argv[1])
bindings = [json.loads(text) for name, text in fields.items() if name.startswith("binding:")]
now_ms = time.time() * 1000
living = [b for b in bindings if b["expiryTime"] > now_ms]  # in its grace, it may be gone any moment
living.sort(key=lambda b: (-b["q"], -b["expiryTime"]))  # RFC 3261 16.6: the highest q first
for b in living:
    shown = {name: b[name] for name in ("contact", "protocol", "proxy", "sbcAddress")}
    print(json.dumps(shown, separators=(",", ":")))
