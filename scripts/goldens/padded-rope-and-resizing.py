"""Goldens of transformers 4.57.6 (torch 2.9.1, CPU, f32) for what tests/goldens/models leaves out.

Padded batches with rotary scalings that go by a length: as one batch, each row alone, a short text after a long one
on one module. And resize_token_embeddings. Every case is run on a module that was just loaded.

    python scripts/goldens/padded-rope-and-resizing.py
"""
import json
import torch
from transformers import LlamaForCausalLM, LlamaForQuestionAnswering

MODELS = "tests/goldens/models/"
torch.set_num_threads(1)


def load(name):
    kind = LlamaForQuestionAnswering if name == "qa" else LlamaForCausalLM
    return kind.from_pretrained(MODELS + name, dtype=torch.float32, attn_implementation="eager").eval()


def numbers(tensor):
    return [float(f"{x:.8g}") for x in tensor.tolist()]


def write(folder, cases):
    meta = {"transformers": "4.57.6", "torch": "2.9.1"}
    with open(f"tests/goldens/{folder}/golden.json", "w") as file:
        json.dump({"meta": meta, "cases": cases}, file, separators=(",", ":"))
        file.write("\n")


@torch.no_grad()
def last_logits(model, ids, **inputs):
    inputs = {key: torch.tensor(value) for key, value in inputs.items()}
    return model(input_ids=torch.tensor(ids), **inputs).logits


def padded_rope():
    """Models whose scaling starts beyond 16 tokens: one row longer, one shorter."""
    long, short, middle = 30, 12, 22
    generator = torch.Generator().manual_seed(7)
    cases = []
    for name in ["rope_dynamic", "rope_longrope"]:
        ids = torch.randint(3, load(name).config.vocab_size, (2, long), generator=generator).tolist()
        rows = [ids[0], ids[1][:short]]
        padding = [0] * (long - short)
        alone = [numbers(last_logits(load(name), [row])[0, -1]) for row in rows]
        for side in ["left", "right"]:
            is_left = side == "left"
            join = lambda row, pads: pads + row if is_left else row + pads
            batch = [rows[0], join(rows[1], padding)]
            mask = [[1] * long, join([1] * short, padding)]
            positions = (torch.tensor(mask).cumsum(-1) - 1).clamp(min=0).tolist()
            last = -1 if is_left else short - 1
            by_column = last_logits(load(name), batch, attention_mask=mask)
            counted = last_logits(load(name), batch, attention_mask=mask, position_ids=positions)
            cases.append({
                "name": f"{name}/{side}",
                "kind": "forward",
                "inputs": {"model": name, "input_ids": batch, "attention_mask": mask, "position_ids": positions},
                "outputs": {
                    "alone": alone,
                    "batch": [numbers(by_column[0, -1]), numbers(by_column[1, last])],
                    "batch_with_position_ids": [numbers(counted[0, -1]), numbers(counted[1, last])],
                },
            })
        options = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        batch = torch.tensor([rows[0], padding + rows[1]])
        mask = torch.tensor([[1] * long, padding + [1] * short])
        together = load(name).generate(input_ids=batch, attention_mask=mask, **options)[:, long:]
        each = [load(name).generate(input_ids=torch.tensor([row]), **options)[0, len(row):] for row in rows]
        cases.append({
            "name": f"{name}/generate",
            "kind": "generate",
            "inputs": {"model": name, "input_ids": batch.tolist(), "attention_mask": mask.tolist()},
            "outputs": {"batch": together.tolist(), "alone": [row.tolist() for row in each]},
        })
        model = load(name)
        fresh = last_logits(model, [ids[1][:middle]])[0, -1]
        last_logits(model, [ids[0]])
        after = last_logits(model, [ids[1][:middle]])[0, -1]
        cases.append({
            "name": f"{name}/state",
            "kind": "state",
            "inputs": {"model": name, "first": ids[0], "then": ids[1][:middle]},
            "outputs": {"fresh": numbers(fresh), "after": numbers(after)},
        })
    write("padded_rope", cases)


def resized_embeddings():
    cases = []
    for name, count, multiple in [
        ("gqa", 515, None), ("gqa", 513, 64), ("gqa", None, 100), ("gqa", 500, None),
        ("tied", 259, None), ("tied", None, 100), ("qa", 260, None), ("bias", 300, None),
    ]:
        model = load(name)
        torch.manual_seed(0)
        found = model.resize_token_embeddings(count, pad_to_multiple_of=multiple)
        head = model.get_output_embeddings()
        cases.append({
            "name": f"{name} to {count}, {multiple}",
            "inputs": {"model": name, "new_num_tokens": count, "pad_to_multiple_of": multiple},
            "outputs": {
                "vocab_size": model.config.vocab_size,
                "num_embeddings": found.num_embeddings,
                "last_row": numbers(found.weight[-1]),
                "head_rows": None if head is None else head.weight.shape[0],
                "last_head_row": None if head is None else numbers(head.weight[-1]),
                "logits": None if head is None else numbers(last_logits(model, [[5, 6, 7]])[0, -1]),
            },
        })
    write("resized_embeddings", cases)


padded_rope()
resized_embeddings()
