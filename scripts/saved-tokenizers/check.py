"""Loads saved tokenizers with transformers and compares them with what saved them.

check.py FOLDER: reads expected.json and the folders beside it; exit code 1 where anything differs.
"""

import json
import os
import sys
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
folder = Path(sys.argv[1])
sys.path.insert(0, str(folder / "python"))

from transformers import AutoTokenizer  # noqa: E402

given = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
differences = 0
for name, case in given["expected"].items():
    tokenizer = AutoTokenizer.from_pretrained(folder / name, use_fast=not case["isSlow"])
    found = {"files": set(case["files"]) == {file.name for file in (folder / name).iterdir()}}
    for key in ("ids", "pair", "text", "plain"):
        found[key] = 0
    for text, row in zip(given["texts"], case["rows"], strict=True):
        ids = tokenizer.encode(text)
        got = {
            "ids": ids,
            "pair": tokenizer.encode(text, "b c"),
            "text": tokenizer.decode(ids),
            "plain": tokenizer.decode(ids, skip_special_tokens=True),
        }
        for key, value in got.items():
            if value == row[key]:
                found[key] += 1
            elif found[key] >= 0 and differences < 10:
                print(name, key, repr(text), value, row[key])
    chat = case["chat"]
    if chat is not None:
        found["chat"] = tokenizer.apply_chat_template(given["messages"], tokenize=False) == chat
    found["special"] = tokenizer.special_tokens_map == case["special"]
    found["length"] = len(tokenizer) == case["length"]
    found["sides"] = [tokenizer.padding_side, tokenizer.truncation_side] == case["sides"]
    found["limit"] = tokenizer.model_max_length == case["limit"]
    total = len(given["texts"])
    wrong = [key for key, value in found.items() if value is False or (value is not True and value < total)]
    differences += len(wrong)
    verdict = f"differs in {', '.join(wrong)}" if wrong else "equal"
    print(f"{name} ({type(tokenizer).__name__}): {total} texts, {verdict}")
sys.exit(1 if differences else 0)
