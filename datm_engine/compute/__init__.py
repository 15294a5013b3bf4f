"""Where and how a run computes.

`runtime.start` turns options into a `Runtime`: device, precision, memory, threads, ranks and
requests to stop. Stages take it and do not query the machine. `runtime.generator` gives each
purpose its random numbers. `compilation` compiles the steps that a stage repeats, `threads` chooses
the number of CPU threads, `ranks` sums and gathers over processes, and `memory_errors` raises one
exception for out of memory on every device.
"""
