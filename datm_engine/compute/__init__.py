"""Where and how a run computes.

`runtime.start` turns options into a `Runtime`: device, precision, memory, threads, ranks and
requests to stop. The stages take it and never look at the machine themselves. `runtime.generator`
gives each purpose its random numbers. `compilation` compiles the steps that a stage repeats,
`threads` chooses how many the CPU uses, `ranks` sums and agrees over processes, and `memory_errors`
gives memory that runs out one exception on every device.
"""
