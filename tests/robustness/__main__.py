"""The longer run: ``python -m tests.robustness [MEDIA [PLANS]]``, 2000 and 20000 by default."""

from __future__ import annotations

import sys

from .harness import run


def main(media: int = 2000, plans: int = 20000) -> int:
    found = 0
    for target, count in (("classifier", media), ("plan", plans)):
        report = run(target, range(count))
        outcomes = ", ".join(f"{number} {name}" for name, number in report.outcomes.most_common())
        print(f"{target}: {count} cases: {outcomes}")
        print(f"  slowest {report.slowest:.2f} s, peak {report.peak_mb:.0f} MB")
        for finding in report.findings:
            print(f"  {finding.kind} at seed {finding.seed}: {finding.detail}")
        found += len(report.findings)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:])))
