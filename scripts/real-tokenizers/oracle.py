"""Ids that tiktoken (Llama 3) and tokenizers (Llama 2) give the texts of a folder.

oracle.py FOLDER: reads texts.json, llama3.model, llama2/tokenizer.json; writes ids.json.
"""

import base64
import json
import sys
from pathlib import Path

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder / "python"))

import tiktoken  # noqa: E402
import tokenizers  # noqa: E402

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
ranks = {}
for line in (folder / "llama3.model").read_bytes().splitlines():
    token, rank = line.split()
    ranks[base64.b64decode(token)] = int(rank)
llama3 = tiktoken.Encoding("llama3", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
llama2 = tokenizers.Tokenizer.from_file(str(folder / "llama2" / "tokenizer.json"))
encoded = [llama2.encode(text) for text in texts]
(folder / "ids.json").write_text(
    json.dumps(
        {
            "llama3": [llama3.encode_ordinary(text) for text in texts],
            "llama2": [e.ids for e in encoded],
            "llama2_offsets": [e.offsets for e in encoded],
            "llama2_decoded": [llama2.decode(e.ids) for e in encoded],
        }
    )
)
