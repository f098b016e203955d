"""Writes docs/performance.md from what `suite.py --record` left in results/; `--check` only says whether it would change."""

import argparse
import json
import sys

from compare import WIDTH
from suite import (
    HERE,
    OURS,
    ROOT,
    agrees,
    better_peer,
    counts,
    geomean,
    load,
    row,
    share_of_peak,
    untuned_ratio,
)

PAGE = ROOT / "docs/performance.md"
PEERS = {"onnxruntime": "onnxruntime", "openvino": "OpenVINO", "torch": "torch"}
HEAD = """# Performance

Made by `benchmarks/report.py` from the files that `./dev bench SUITE --record` writes to `benchmarks/results/`; not edited
by hand. A ratio is the peer's time / ours, above 1: we are faster; the median over interleaved rounds of one run, outputs
compared in the same run. There are 15 rounds at least; they go on until the 95 % interval of every ratio is at most 4 % wide or
so much time as the table's head says has gone into runs. `~`: the interval of this ratio stayed wider. Each kind of machine has a
section; figures of another build than the newest record's are marked. "Better" is the faster of onnxruntime and OpenVINO.
Untuned: schedules from formulas alone; else the schedules that ship with the compiler. "Of peak" is the share of the FMA peak
measured in the same rounds, of the operations that direct convolution needs: Winograd needs fewer, so that it may exceed 100 %. "Of
limit" is the share of what the machine would need for each kernel at best, added up: the fewest operations of its algorithms at the
FMA peak, or its weights (of a table, the rows gathered) at the read bandwidth of memory and the rest at that of the caches if they
hold it, whichever takes longer; measured right after the case. Calls of onnxruntime and OpenVINO have inputs and outputs bound
before, as ours; those of a few microseconds are mostly what a call costs. "Wrong": outputs differ from onnxruntime's, so that the
time, in brackets, counts nowhere else. With target x86-64-avx2 oneDNN is held to AVX2 in OpenVINO and torch; onnxruntime and OpenVINO's own kernels cannot be, and
where those meet oneDNN's, outputs are wrong (openvinotoolkit/openvino, pull request 38190): no setting of its package was found that
mends it. torch uses oneDNN with weights packed once, and its own choice for products of two inputs. Timed are libraries in the
compiler's cache, whose weights lie in huge pages; those that `compile` emits embed them.
"""


def figure(value):
    return f"{value:.2f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(cells) + " |" for cells in rows]) + "\n"


def has(result, name):
    return any(each["name"] == name for each in result["rows"])


def wide(row):
    low, high = row["interval"]
    return (high - low) / row["ratio"] > WIDTH


def ratio(result, name):
    found = [each for each in result["rows"] if each["name"] == name]
    if not found:
        return "–"
    text = "~" * wide(found[0]) + figure(found[0]["ratio"])
    return text if agrees(found[0]) else f"wrong ({text})"


def share_of_limit(result):
    return result["limit_ms"] / row(result, "opencompiler")["milliseconds"]


def untuned(result):
    rows = (row(result, "untuned"), better_peer(result))
    return "~" * any(map(wide, rows)) + figure(untuned_ratio(result))


def summary(results):
    better = [better_peer(result)["ratio"] for result in results]
    unset = [untuned_ratio(result) for result in results]
    text = (
        f"Better peer / ours: geomean {figure(geomean(better))}, lowest {figure(min(better))}; "
        f"untuned {figure(geomean(unset))}, lowest {figure(min(unset))}."
    )
    for name, title in PEERS.items():
        ran = [row(result, name) for result in results if has(result, name)]
        right = [each["ratio"] for each in ran if agrees(each)]
        if right:
            text += f" {title} / ours: geomean {figure(geomean(right))} of {len(right)}"
            text += " cases." if len(right) > 1 else " case."
        if len(right) < len(ran):
            wrong = [each["ratio"] for each in ran if not agrees(each)]
            text += f" {title}'s outputs are wrong in {len(wrong)} of {len(ran)}; what it takes for them / ours: geomean {figure(geomean(wrong))}."
    return text


def shares(recorded, results):
    """What the suite says of the machine's limits."""
    text = ""
    known = [result for result in results if result["flops"]]
    if known:
        share = geomean([share_of_peak(result) for result in known])
        text += f" Share of the FMA peak: geomean {100 * share:.0f} %"
        large = [r for r in known if is_large(defined(recorded, r["name"]))]
        if large:
            share = geomean([share_of_peak(result) for result in large])
            text += f"; of those with m, n and k of 256 or more {100 * share:.0f} %"
        text += "."
    limited = [result for result in results if "limit_ms" in result]
    if limited:
        share = geomean([share_of_limit(result) for result in limited])
        text += f" Share of the limit of all kernels: geomean {100 * share:.0f} %."
    return text


def defined(recorded, name):
    """The case of the suite's file; {} where it has gone since."""
    cases = load(recorded["suite"])["cases"]
    return next((case for case in cases if case["name"] == name), {})


def is_large(case):
    return "a" in case and min(*case["a"][-2:], *case["b"][-2:]) >= 256


def compile_times(results):
    text = ""
    for result in results:
        if "cold_compile" in result:
            cold = result["cold_compile"]
            text += (
                f"\nCompiling {result['name']} with an empty cache and {cold['jobs']} jobs: {cold['seconds']:.1f} s; "
                f"asked for: at most {cold['asked']} s.\n"
            )
    return text


def run_table(recorded):
    """One run of a suite."""
    results = [result for result in recorded["cases"] if counts(result)]
    head = ["case", "ms", "of peak", "of limit"]
    peers = [name for name in PEERS if any(has(result, name) for result in results)]
    head += [*(PEERS[name] for name in peers), "untuned, better"]
    with_share = any(result["flops"] for result in results)
    with_limit = any("limit_ms" in result for result in results)
    rows = []
    for result in results:
        cells = [result["name"], f"{row(result, 'opencompiler')['milliseconds']:.3f}"]
        if with_share:
            known = result["flops"] is not None
            cells.append(f"{100 * share_of_peak(result):.0f} %" if known else "–")
        if with_limit:
            known = "limit_ms" in result
            cells.append(f"{100 * share_of_limit(result):.0f} %" if known else "–")
        cells += [ratio(result, name) for name in peers]
        rows.append([*cells, untuned(result)])
    if not with_share:
        head.remove("of peak")
    if not with_limit:
        head.remove("of limit")
    last = [cell for cells in rows for cell in cells[-len(peers) - 1 :]]
    ratios = [cell for cell in last if cell != "–" and not cell.startswith("wrong")]
    marked = sum(cell.startswith("~") for cell in ratios)
    intervals = f" {marked} of {len(ratios)} ratios have an interval wider than 4 %."
    text = summary(results) + shares(recorded, results) + intervals
    return table(head, rows) + "\n" + text + "\n" + compile_times(results)


def first_table(recorded):
    """Of a fresh process that opens the model and runs it once."""
    names = ("opencompiler", "onnxruntime", "openvino")
    rows = []
    for result in filter(counts, recorded["cases"]):
        known = {each["name"] for each in result["rows"]}
        cells = [
            f"{row(result, name)[key]:.1f}" if name in known else "–"
            for key in ("first_result_ms", "peak_rss_mb")
            for name in names
        ]
        rows.append([result["name"], *cells])
    head = ["model", *(f"{n}, ms" for n in names), *(f"{n}, MiB" for n in names)]
    return table(head, rows)


def scaling_table(recorded):
    """Time on one thread / time on all, everyone timed on both in the same rounds; so the machine's own limits."""
    names = ("opencompiler", "onnxruntime", "openvino")
    rows = []
    for result in filter(counts, recorded["cases"]):
        known = {each["name"]: each.get("scaling") for each in result["rows"]}
        limits = result.get("limits_scaling", {})
        found = [known.get(n) for n in names]
        found += [limits.get(n) for n in ("flops", "bandwidth")]
        rows.append([result["name"], *(figure(f) if f else "–" for f in found)])
    return table(["model", *names, "the FMA peak", "the read bandwidth"], rows)


def slower(recorded):
    """A list; what makes all cases or one of them slower stands in the suite's file, by target."""
    target, lines = recorded["target"], []
    for result in recorded["cases"]:
        where = result["name"]
        if "failed" in result:
            lines.append(f"  - {where}: failed: {result['failed']}")
        elif not counts(result):
            lines.append(f"  - {where}: outputs differ")
        else:
            why = defined(recorded, where).get("why", {}).get(target)
            for peer in result["rows"]:
                if peer["name"] in OURS or not agrees(peer) or peer["ratio"] >= 1:
                    continue
                end = f": {why}" if why else ""
                mark = "~" * wide(peer)
                lines.append(
                    f"  - {where} {mark}{figure(peer['ratio'])} {peer['name']}{end}"
                )
    if lines:
        why = load(recorded["suite"]).get("why", {}).get(target)
        end = f". {why}:" if why else ":"
        first = f"- {recorded['suite']}, {recorded['threads']} thread(s), {target}{end}"
        lines.insert(0, first)
    return lines


def machine_name(recorded):
    return next(each["machine"] for each in recorded["cases"] if "failed" not in each)


def peer_versions(recorded):
    versions = {
        f"{each['name']} {each['version']}"
        for result in recorded["cases"]
        if "failed" not in result
        for each in result["rows"]
        if each["name"] not in OURS
    }
    return ", ".join(sorted(versions))


def time_limit(recorded):
    limit = recorded.get("seconds")
    return f" At most {limit:g} s of runs a case." if limit else ""


def newest_build(results):
    """None where no record says of which build it is."""
    return max(results, key=lambda each: each.get("recorded", "")).get("build")


def age(recorded, newest):
    build = recorded.get("build")
    if build is None:
        return "**Stale: an older build made these figures, and an older harness, 15 rounds each.**\n\n"
    if build != newest:
        return (
            "**Stale: another build than the newest record's made these figures.**\n\n"
        )
    return ""


def machine_section(folder, results, newest):
    """Everything that one kind of machine has recorded; the folder is called by its id."""
    text = [f"## {machine_name(results[0])} ({folder})\n"]
    for each in results:
        text.append(
            f"### {each['suite']}, {each['threads']} thread(s), {each['target']}\n\n{age(each, newest)}"
            f"{each['about']}. {peer_versions(each)}.{time_limit(each)}\n\n{run_table(each)}"
        )
    models = {
        each["threads"]: each
        for each in results
        if each["suite"] == "models" and each["target"] == "host"
    }
    if 1 in models:
        text.append(
            "### Opening a model and running it once\n\nTime to the first result and memory that a process adds to its imports; medians of three processes each, in turns.\n\n"
            + age(models[1], newest)
            + first_table(models[1])
        )
    if 2 in models:
        text.append(
            "### From one thread to two\n\nTime on one / time on two, everyone timed on both in the same rounds; beside it what the machine's own limits "
            "gain. A step of GPT-2 reads all its weights, no faster than memory allows: who is slower on one thread gains more. "
            "What the bandwidth gains is measured in each model's rounds: where a virtual machine's cores lie may change.\n\n"
            + age(models[2], newest)
            + scaling_table(models[2])
        )
    lines = [line for each in results for line in slower(each)]
    text.append(
        "### Slower than a peer, or missing\n\n"
        + ("\n".join(lines) if lines else "Nothing.")
        + "\n"
    )
    return "\n".join(text)


def page():
    machines = {}
    for file in sorted((HERE / "results").glob("*/*.json")):
        machines.setdefault(file.parent.name, []).append(json.loads(file.read_text()))
    newest = newest_build([each for records in machines.values() for each in records])
    sections = [machine_section(*each, newest) for each in machines.items()]
    return "\n".join([HEAD, *sections])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    new = page()
    if arguments.check:
        return 0 if PAGE.exists() and PAGE.read_text() == new else 1
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
