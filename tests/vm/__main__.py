"""`python -m tests.vm 6.1 bpftool prog list` runs one command under that kernel, for at most 25 minutes."""

import sys

from tests.vm.vm import run_in_kernel

result = run_in_kernel(sys.argv[1], sys.argv[2:], 1500)
sys.stdout.write(f"{result.output}kernel {result.kernel_release}: exit status {result.status}\n")
sys.exit(result.status)
