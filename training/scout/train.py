"""Train scout. Warm-up, then a constant rate for as long as it runs; a decay branch can be cut off any checkpoint.

    python -m scout.train --work DIR --preset cpu                        # start or resume the stable run
    python -m scout.train --work DIR --preset cpu --decay 400            # branch: 400 steps to rate zero, from the stable checkpoint

The stable run writes stable.pt (and log.jsonl) under --work/run, the branch writes decay.pt (and decay.jsonl).
Muon for the two-dimensional hidden matrices, AdamW for the embedding and the norms.
"""
import argparse
import json
import math
import os
import signal
import time

import torch

from .data import Stream, validation
from .model import Scout, preset
from .restore import weights


def orthogonalise(g, steps=5):
    """Newton-Schulz iteration of Muon (Jordan et al. 2024)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g / (g.norm() + 1e-7)
    flip = x.shape[0] > x.shape[1]
    if flip:
        x = x.t()
    for _ in range(steps):
        s = x @ x.t()
        x = a * x + (b * s + c * s @ s) @ x
    return x.t() if flip else x


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                s = self.state[p]
                m = s.setdefault("momentum", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                u = orthogonalise(p.grad.lerp(m, group["momentum"]))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(u, alpha=-group["lr"] * max(1, p.shape[0] / p.shape[1]) ** 0.5)


def optimizers(model, t):
    named = list(model.named_parameters())
    hidden = [p for n, p in named if p.dim() == 2 and "embed" not in n]
    embed = [p for n, p in named if "embed" in n]
    norms = [p for n, p in named if p.dim() == 1]
    muon = Muon(hidden, t["muon_lr"], weight_decay=t["weight_decay"])
    adam = torch.optim.AdamW([{"params": embed, "lr": t["adam_lr"]}, {"params": norms, "lr": t["norm_lr"]}],
                             betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0)
    for o in (muon, adam):
        for g in o.param_groups:
            g["base"] = g["lr"]
    return muon, adam


@torch.no_grad()
def evaluate(model, rows, size, device="cpu", budget=16384):
    """Bits per byte overall and by group, every token predicted inside its own document."""
    model.eval()
    nats, order = dict.fromkeys(size, 0.0), sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
    i, tokens = 0, 0
    while i < len(order):
        width = len(rows[order[min(len(order) - 1, i + 255)]][0])
        part = order[i:i + max(1, min(256, budget // width))]
        i += len(part)
        width = max(len(rows[j][0]) for j in part)
        ids = torch.zeros(len(part), width, dtype=torch.int64)
        for r, j in enumerate(part):
            ids[r, :len(rows[j][0])] = torch.from_numpy(rows[j][0])
        nll = model.nll(ids[:, :-1].to(device), ids[:, 1:].to(device)).cpu()
        for r, j in enumerate(part):
            n = len(rows[j][0]) - 1
            nats[rows[j][1]] += nll[r, :n].double().sum().item()
            tokens += n
    model.train()
    bits = {g: nats[g] / math.log(2) / size[g] for g in size if size[g]}
    total = sum(nats.values())
    return {"bpb": total / math.log(2) / sum(size.values()), "by_group": bits, "nats_per_token": total / tokens, "tokens": tokens}


def save(path, **what):
    torch.save(what, path + ".part")
    os.replace(path + ".part", path)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--work", required=True)
    a.add_argument("--preset", default="cpu")
    a.add_argument("--run", default="run", help="folder under --work for checkpoints and logs")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--device", default="cpu")
    a.add_argument("--seed", type=int, default=20261121)
    a.add_argument("--tokens", type=float, default=0, help="stop the stable run after so many tokens (0: never)")
    a.add_argument("--init", help="start from an exported model folder when there is no checkpoint (the optimizer starts afresh)")
    a.add_argument("--decay", type=int, default=0, help="branch off a decay of so many steps")
    a.add_argument("--decay-seconds", type=float, default=0, help="branch off a decay that takes so many wall seconds")
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    conf = preset(a.preset)
    t, decaying = conf["train"], bool(a.decay or a.decay_seconds)
    run = os.path.join(a.work, a.run)
    os.makedirs(run, exist_ok=True)
    stable, branch = os.path.join(run, "stable.pt"), os.path.join(run, "decay.pt")
    log_path = os.path.join(run, "decay.jsonl" if decaying else "log.jsonl")

    model = Scout(conf["model"]).to(a.device)
    muon, adam = optimizers(model, t)
    step = tokens = 0
    cursors = None
    if os.path.exists(stable):
        c = torch.load(stable, map_location=a.device)
        if c["config"] != conf["model"]:
            raise SystemExit("the checkpoint has another model configuration; choose another --run")
        model.load_state_dict(c["model"])
        muon.load_state_dict(c["muon"])
        adam.load_state_dict(c["adam"])
        step, tokens, cursors = c["step"], c["tokens"], c["cursors"]
    elif decaying:
        raise SystemExit("no stable checkpoint to branch from")
    elif a.init:
        state, tokens = weights(a.init, conf["model"])
        model.load_state_dict(state)
    forked = step
    length = t["decay_length"] if decaying else t["length"]
    rows, micro = t["batch_tokens"] // length, max(1, t["micro_rows"] * t["length"] // length)
    stream = Stream(a.work, conf["mix"], a.seed, cursors)
    valid = validation(a.work, length, t["eval_tokens"])
    log = open(log_path, "w" if decaying else "a")

    def note(**k):
        log.write(json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "step": step, "tokens": tokens, **k}) + "\n")
        log.flush()

    def keep():
        save(branch if decaying else stable, config=conf["model"], model=model.state_dict(), muon=muon.state_dict(), adam=adam.state_dict(),
             step=step, tokens=tokens, cursors=stream.cursors, seed=a.seed, forked=forked if decaying else None)

    stop = []
    for s in (signal.SIGTERM, signal.SIGINT):
        signal.signal(s, lambda *_: stop.append(1))
    note(event="decay" if decaying else "start", parameters=model.parameters_total(), threads=a.threads, length=length)
    mean, begun = 0.0, time.time()
    saved = evaluated = time.time()
    mark = (time.time(), time.process_time(), tokens)
    while not stop:
        if decaying:
            left = 1 - (step - forked) / a.decay if a.decay else 1 - (time.time() - begun) / a.decay_seconds
            if left <= 0:
                break
            factor = left
        else:
            if a.tokens and tokens >= a.tokens:
                break
            factor = min(1.0, (step + 1) / t["warmup_steps"])        # steps start at 0 again after --init
        for o in (muon, adam):
            for g in o.param_groups:
                g["lr"] = g["base"] * factor
        batch = torch.from_numpy(stream.batch(step, rows, length)).to(a.device)
        loss = 0.0
        for i in range(0, rows, micro):
            b = batch[i:i + micro]
            part = model.loss_sum(b[:, :-1], b[:, 1:]) / (rows * length)
            part.backward()
            loss += part.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o in (muon, adam):
            o.step()
            o.zero_grad(set_to_none=True)
        step += 1
        tokens += rows * length
        mean = loss if not mean else 0.95 * mean + 0.05 * loss
        if step % 10 == 0:
            w, c, n = mark
            mark = (time.time(), time.process_time(), tokens)
            note(loss=round(loss, 4), mean=round(mean, 4), lr=round(factor, 4),
                 per_second=round((tokens - n) / (mark[0] - w)), per_cpu_second=round((tokens - n) / (mark[1] - c)))
        if time.time() - saved > 60 * t["save_minutes"]:
            keep()
            saved = time.time()
        if time.time() - evaluated > 60 * t["eval_minutes"]:
            note(valid=evaluate(model, *valid, device=a.device))
            evaluated = time.time()
    keep()
    note(valid=evaluate(model, *valid, device=a.device), event="end")


if __name__ == "__main__":
    main()
